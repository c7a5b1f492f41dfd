// What was measured and printed, over the timeline's axis: a plot of each metric, a row of words for each console.
// Data: samples (timeline_source.js, `series`), prints of a window (timeline_data.js). `picture`: timeline_picture.js.
import { FONT, MONO, clippedText } from "./canvas_text.js";
import * as numbers from "./numbers.js";
import { palette } from "./patterns.js";
import { printable } from "./timeline_marks.js";

const LEAST_WORDS = 26; // pixels

/** A metric: a line for each VM, dashed for every other. The plot is as high as the highest value in the window. */
export function drawPlot(picture, { key, top, height }) {
  const { context, scene } = picture;
  const { layout } = scene;
  context.fillStyle = palette().rule.css;
  context.fillRect(layout.left, top + height, layout.right - layout.left, 1);
  const lines = scene.series?.[key];
  if (!lines) return;
  const shown = inside(scene.series.at, scene.from, scene.to);
  const most = highest(lines, shown, key === "ready" ? 100 : 1);
  const y = (value) => top + height - (value / most) * (height - 2);
  context.lineWidth = 1.5;
  for (const line of lines) {
    context.strokeStyle = palette().vm(line.index).solid.css;
    context.setLineDash(line.index % 2 ? [4, 2] : []);
    strokeLine(picture, line.values, shown, y);
  }
  context.setLineDash([]);
  drawScale(picture, key === "ready" ? `${Math.round(most)} %` : numbers.count(Math.round(most)), top);
}

/** What the upper edge of a plot stands for, at its left. */
function drawScale({ context, scene }, text, top) {
  const { left, right } = scene.layout;
  context.fillStyle = palette().rule.css;
  context.fillRect(left, top, right - left, 1);
  context.font = `11px ${FONT}`;
  context.textAlign = "left";
  context.fillStyle = palette().ground.css;
  context.fillRect(left, top, context.measureText(text).width + 6, 13);
  context.fillStyle = palette().inkSoft.css;
  context.fillText(text, left + 1, top + 7);
}

function highest(lines, [first, last], least) {
  let most = least;
  for (const { values } of lines) for (let i = first; i <= last; i++) most = Math.max(most, values[i] ?? 0);
  return most;
}

/** A line through values; where there is none, it is broken. */
function strokeLine(picture, values, [first, last], y) {
  const { context, scene } = picture;
  let drawn = false;
  context.beginPath();
  for (let i = first; i <= last; i++) {
    const known = values[i] !== null && values[i] !== undefined;
    if (known) context[drawn ? "lineTo" : "moveTo"](picture.place(scene.series.at[i]), y(values[i]));
    drawn = known;
  }
  context.stroke();
}

/** The places of samples that a window needs, one beyond each edge included. */
function inside(at, from, to) {
  let first = 0;
  while (first + 1 < at.length && at[first + 1] < from) first++;
  let last = at.length - 1;
  while (last > 0 && at[last - 1] > to) last--;
  return [first, last];
}

/** A console: a stroke where something was printed, and what, where there is room. */
export function drawConsole(picture, { vm, top, height }) {
  const { context, scene } = picture;
  const colours = palette();
  const prints = scene.view.prints.filter((print) => print.vm === vm);
  const index = picture.lab.vm(vm)?.index ?? 0;
  context.textAlign = "left";
  context.font = `11px ${MONO}`;
  let free = -1e9;
  prints.forEach((print, at) => {
    const x = picture.place(print.start_cycles);
    context.fillStyle = colours.vm(index).solid.css;
    context.fillRect(x, top + 2, 1.5, height - 4);
    const next = prints[at + 1] ? picture.place(prints[at + 1].start_cycles) : scene.layout.right;
    if (x < free || next - x < LEAST_WORDS) return;
    context.fillStyle = colours.ink.css;
    clippedText(context, printable(print.text), x + 4, top + height / 2 + 0.5, next - x - 8);
    free = x;
  });
}
