// The timeline by keys: its cursor walks over time and over what was done and what happened.
import { announce } from "./announcer.js";
import { _ } from "./text.js";
import { isMarked } from "./timeline_data.js";
import { TRACED_SPAN } from "./timeline_source.js";

/** What a key does there. @param {import("./timeline.js").Timeline} timeline @param {KeyboardEvent} event */
export function pressKey(timeline, event) {
  if (event.altKey || event.metaKey || event.ctrlKey) return;
  const [from, to] = timeline.window.edges();
  const at = timeline.cursor ?? timeline.clock.now;
  const acts = {
    ArrowRight: () => walk(timeline, at, 1, event.shiftKey),
    ArrowLeft: () => walk(timeline, at, -1, event.shiftKey),
    PageUp: () => timeline.pan((from - to) / 2),
    PageDown: () => timeline.pan((to - from) / 2),
    Home: () => timeline.goTo(0),
    End: () => timeline.goTo(timeline.clock.end),
    "+": () => timeline.zoom(0.5),
    "=": () => timeline.zoom(0.5),
    "-": () => timeline.zoom(2),
    n: () => chooseNext(timeline, at, 1),
    p: () => chooseNext(timeline, at, -1),
    Enter: () => (timeline.chosen ? timeline.travel.seek(timeline.chosen.position) : timeline.seek(at)),
    Escape: () => timeline.close(),
  };
  const act = acts[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}

/** A step of the cursor: to the next instruction where single ones are shown, else a hundredth of the window. */
function walk(timeline, at, way, far) {
  const [from, to] = timeline.window.edges();
  const hundredths = far ? 10 : 1;
  const edge = far || to - from > TRACED_SPAN ? null : nextEdge(timeline.steps, at, way);
  timeline.goTo(timeline.clock.within(edge ?? at + (way * hundredths * (to - from)) / 100));
}

/** The beginning of the instruction next to a time, or null. */
function nextEdge(steps, at, way) {
  const edges = (steps?.pcpus.flat() ?? []).map((step) => step.start_cycles);
  const ahead = edges.filter((edge) => (edge - at) * way > 0);
  if (!ahead.length) return null;
  return way > 0 ? Math.min(...ahead) : Math.max(...ahead);
}

/** Choose the next or previous of what was done and what happened. */
function chooseNext(timeline, at, way) {
  const { actions, events } = timeline.view;
  const items = [...actions, ...events.filter(isMarked)].sort(
    (one, other) => one.clock_cycles - other.clock_cycles || one.position - other.position,
  );
  const found = neighbour(items, timeline.chosen, at, way);
  if (found) timeline.choose(found);
  else announce("timeline", way > 0 ? _("Nothing later in this window.") : _("Nothing earlier in this window."));
}

function neighbour(items, chosen, at, way) {
  const place = items.indexOf(chosen);
  if (place >= 0) return items[place + way];
  return way > 0 ? items.find((one) => one.clock_cycles >= at) : items.findLast((one) => one.clock_cycles <= at);
}
