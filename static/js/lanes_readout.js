// The lanes' cursor and buttons: hover or arrow keys say who ran when; the table sums up the window that is shown.
import { h, setAttribute, setText } from "./element.js";
import { badge } from "./frame_readout.js";
import { Lanes, shares } from "./lanes.js";
import * as numbers from "./numbers.js";
import { onTheme, vmClass } from "./patterns.js";
import { _ } from "./text.js";

/** @param {import("./lab.js").Lab} lab */
export function startLanes(lab) {
  const canvas = document.getElementById("lanes");
  const readout = document.getElementById("lanes-readout");
  const table = document.getElementById("lanes-table");
  const lanes = new Lanes(canvas, lab);

  const refresh = () => {
    lanes.ask();
    document.getElementById("lanes-follow").hidden = lanes.following;
    if (table.closest("details").open) fillTable(table, lanes, lab);
    describe(readout, canvas, lanes, lab);
  };
  const point = (cycles) => {
    lanes.cursor = cycles === null ? null : Math.max(0, Math.min(cycles, lanes.now));
    refresh();
  };
  document.getElementById("lanes-closer").addEventListener("click", () => (lanes.zoom(0.5), refresh()));
  document.getElementById("lanes-wider").addEventListener("click", () => (lanes.zoom(2), refresh()));
  document.getElementById("lanes-follow").addEventListener("click", () => (lanes.follow(true), point(null)));
  canvas.addEventListener("pointermove", (event) => point(lanes.timeAt(event.offsetX)));
  canvas.addEventListener("pointerleave", () => document.activeElement !== canvas && point(null));
  canvas.addEventListener("focus", () => lanes.cursor === null && point(lanes.now));
  canvas.addEventListener("blur", () => point(null));
  canvas.addEventListener("wheel", (event) => wheel(event, lanes, refresh), { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const act = keys(lanes, point)[event.key];
    if (!act) return;
    event.preventDefault();
    act();
    refresh();
  });
  lab.on("lanes", refresh);
  lab.on("state", refresh);
  table.closest("details").addEventListener("toggle", refresh);
  new ResizeObserver(() => lanes.ask()).observe(canvas.parentElement);
  onTheme(() => lanes.ask());
  document.fonts.ready.then(() => lanes.ask());
}

function wheel(event, lanes, refresh) {
  if (!event.ctrlKey && !event.shiftKey) return;
  event.preventDefault();
  if (event.ctrlKey) lanes.zoom(event.deltaY > 0 ? 1.25 : 0.8);
  else lanes.pan(((event.deltaY || event.deltaX) / 500) * lanes.span);
  refresh();
}

/** Arrows move to the next and previous change; + and - zoom; Home and End go to the ends of the window. */
function keys(lanes, point) {
  const at = lanes.cursor ?? lanes.now;
  return {
    ArrowRight: () => stay(lanes, point, changeAfter(lanes, at)),
    ArrowLeft: () => stay(lanes, point, changeBefore(lanes, at)),
    PageUp: () => lanes.pan(-lanes.span / 2),
    PageDown: () => lanes.pan(lanes.span / 2),
    Home: () => point(lanes.window()[0]),
    End: () => (lanes.follow(true), point(lanes.now)),
    "+": () => lanes.zoom(0.5),
    "-": () => lanes.zoom(2),
  };
}

function stay(lanes, point, cycles) {
  const [from, to] = lanes.window();
  if (cycles < from || cycles > to)
    lanes.pan(cycles < from ? cycles - from - lanes.span / 10 : cycles - to + lanes.span / 10);
  point(cycles);
}

function changeAfter(lanes, at) {
  let best = lanes.now;
  for (const slice of lanes.lab.slices.values())
    if (slice.start_cycles > at && slice.start_cycles < best) best = slice.start_cycles;
  return best;
}

function changeBefore(lanes, at) {
  let best = 0;
  for (const slice of lanes.lab.slices.values())
    if (slice.start_cycles < at && slice.start_cycles > best) best = slice.start_cycles;
  return best;
}

function doing(slice, hz) {
  if (!slice) return _("nothing yet");
  const length = numbers.time(numbers.nanoseconds(slice.end_cycles - slice.start_cycles, hz));
  if (slice.kind === "run") return _("VM {vm} vCPU {vcpu} for {length}", { vm: slice.vm, vcpu: slice.vcpu, length });
  return slice.kind === "idle"
    ? _("idle for {length}", { length })
    : slice.vm
      ? _("hypervisor for {length}, on behalf of VM {vm}", { length, vm: slice.vm })
      : _("hypervisor for {length}", { length });
}

function describe(readout, canvas, lanes, lab) {
  const [from, to] = lanes.window();
  setAttribute(canvas, "aria-valuemin", Math.round(from));
  setAttribute(canvas, "aria-valuemax", Math.round(to));
  if (lanes.cursor === null) {
    readout.replaceChildren(h("span", { class: "quiet" }, summary(lanes, lab)));
    setAttribute(canvas, "aria-valuenow", Math.round(Math.min(lanes.now, to)));
    setAttribute(canvas, "aria-valuetext", summary(lanes, lab));
    return;
  }
  const when = numbers.time(numbers.nanoseconds(lanes.cursor, lanes.hz));
  const lines = lanes.slicesAt(lanes.cursor).map((slice, pcpu) => `pCPU ${pcpu}: ${doing(slice, lanes.hz)}`);
  readout.replaceChildren(h("b", {}, `${_("At {when}", { when })} `), lines.join(" \u00b7 "));
  setAttribute(canvas, "aria-valuenow", Math.round(lanes.cursor));
  setAttribute(canvas, "aria-valuetext", `${_("At {when}", { when })}: ${lines.join("; ")}`);
}

/** One sentence over the window that is shown: who had how much of the pCPUs. */
function summary(lanes, lab) {
  const [from, to] = lanes.window();
  const end = Math.min(to, lanes.now);
  const total = (end - from) * (lab.state?.host?.pcpus.length ?? 1);
  if (total <= 0) return _("Nothing has run yet.");
  const sums = new Map();
  for (const share of shares(lab.slices.values(), from, end)) {
    const key = share.vm ? `VM ${share.vm}` : _(share.kind);
    sums.set(key, (sums.get(key) ?? 0) + share.cycles);
  }
  const parts = [...sums]
    .sort((a, b) => b[1] - a[1])
    .map(([key, cycles]) => `${key} ${numbers.percent(cycles, total)}`);
  const shown = _("Shown: {time}.", { time: numbers.time(numbers.nanoseconds(end - from, lanes.hz)) });
  return `${shown} ${parts.join(", ")}.`;
}

function fillTable(table, lanes, lab) {
  const [from, to] = lanes.window();
  const end = Math.min(to, lanes.now);
  const rows = shares(lab.slices.values(), from, end).map((share) => {
    const index = share.vm === null ? null : (lab.vm(share.vm)?.index ?? 0);
    const part = share.cycles / Math.max(1, end - from);
    return h(
      "tr",
      {},
      h("td", {}, `pCPU ${share.pcpu}`),
      h("td", {}, ...(index === null ? [_(share.kind)] : [badge(index), ` VM ${share.vm}`])),
      h("td", { class: "number" }, numbers.time(numbers.nanoseconds(share.cycles, lanes.hz))),
      h("td", { class: "number" }, numbers.percent(part, 1)),
      h(
        "td",
        {},
        share.kind === "idle"
          ? ""
          : h("span", {
              class: `bar ${index === null ? "" : `vm-${vmClass(index)}`}`,
              style: `width: ${(8 * part).toFixed(2)}rem`,
            }),
      ),
    );
  });
  table.replaceChildren(...rows);
  setText(
    document.getElementById("lanes-table-caption"),
    _("From {start} to {end} of virtual time", { start: numbers.time(numbers.nanoseconds(from, lanes.hz)), end: numbers.time(numbers.nanoseconds(end, lanes.hz)) }),
  );
}
