// An axis of virtual time: a window of cycles on a width of pixels, its ticks and their labels.
import * as numbers from "./numbers.js";
import { palette } from "./patterns.js";

const HANDLE = 8; // half of what may lie on the labels

/** A round distance between ticks, so that about `wanted` fit. @param {number} span */
function tickStep(span, wanted) {
  const rough = span / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough) ?? 10 * power;
}

const UNITS = [
  [1e9, "s"],
  [1e6, "ms"],
  [1e3, "\u00b5s"],
  [1, "ns"],
];

/** A tick's label with as many digits as tell it from its neighbours. */
function tickLabel(ns, stepNs) {
  const place = Math.max(0, UNITS.findIndex(([factor]) => stepNs >= factor * 0.999 || factor === 1));
  const [factor, unit] = UNITS[ns / UNITS[place][0] >= 100000 ? Math.max(0, place - 1) : place];
  const digits = Math.max(0, Math.ceil(-Math.log10(stepNs / factor) - 1e-9));
  return `${(ns / factor).toFixed(digits)} ${unit}`;
}

/**
 * Draw ticks with labels. `y` is where ticks begin; labels lie `label` pixels below, and leave free what is at `free`.
 * @param {CanvasRenderingContext2D} context
 * @param {{from: number, to: number, hz: number, left: number, right: number, y: number, tick: number, label: number, free?: number}} at
 */
export function drawAxis(context, { from, to, hz, left, right, y, tick, label, free = -1e9 }) {
  const colours = palette();
  const width = right - left;
  const step = tickStep(to - from, Math.max(1, width / 84));
  context.fillStyle = colours.inkSoft.css;
  context.strokeStyle = colours.edge.css;
  context.lineWidth = 1;
  context.textAlign = "center";
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) {
    const x = Math.round(left + ((at - from) / (to - from)) * width) + 0.5;
    context.beginPath();
    context.moveTo(x, y);
    context.lineTo(x, y + tick);
    context.stroke();
    const text = tickLabel(numbers.nanoseconds(at, hz), numbers.nanoseconds(step, hz));
    const half = context.measureText(text).width / 2;
    const covered = Math.abs(x - free) < half + HANDLE;
    if (x - half >= left - 16 && x + half <= right && !covered) context.fillText(text, x, y + label);
  }
}
