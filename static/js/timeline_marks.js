// The marks of the timeline: what was done, what was logged. Each kind has its own shape; those that lie over each other are one.
// Data: entries of a window (timeline_data.js). `picture`: timeline_picture.js.
import { FONT, clippedText } from "./canvas_text.js";
import { palette } from "./patterns.js";
import { words } from "./sentences.js";
import { isMarked } from "./timeline_data.js";
import { GAP } from "./timeline_layout.js";

const APART = 13; // pixels between two marks
const TOUCH = 12; // pixels around a mark
const TOUCH_LANE = 6;

/** What a terminal would show of a text, on one line. */
export const printable = (text) =>
  text.replace(/\x1b\[[0-9;?]*[A-Za-z]?/g, "").replace(/[\x00-\x20]+/g, " ").trim();

/** The words at a mark. */
export function markText(kind, item) {
  if (kind === "actions") return [item.verb.replaceAll("_", " "), item.vm, item.text].filter(Boolean).join(" ");
  return words(item.text);
}

/** The marks of a row: [{x, items}]. */
function marksOf(picture, row) {
  const { view, layout } = picture.scene;
  const marks = [];
  for (const item of row.kind === "actions" ? view.actions : view.events.filter(isMarked)) {
    const x = picture.place(item.clock_cycles);
    const last = marks.at(-1);
    if (last && x - last.x < APART) last.items.push(item);
    else marks.push({ x, items: [item] });
  }
  return marks.filter(({ x }) => x > layout.left - 8 && x < layout.right + 8);
}

/** The items of the mark at a point, or none; on a pCPU's lane the exit, or other event, that is near. */
export function markedAt(picture, x, y) {
  const row = picture.scene?.layout.rows.find(({ top, height }) => y >= top && y < top + height + GAP);
  if (row?.kind === "pcpu") {
    const events = picture.scene.view.events.filter((event) => event.pcpu === row.key);
    const placed = events.map((event) => ({ x: picture.place(event.clock_cycles), items: [event] }));
    return nearest(placed, x, TOUCH_LANE);
  }
  if (row?.kind !== "actions" && row?.kind !== "events") return [];
  return nearest(marksOf(picture, row), x, TOUCH);
}

function nearest(marks, x, most) {
  const near = marks.filter((mark) => Math.abs(mark.x - x) <= most);
  near.sort((one, other) => Math.abs(one.x - x) - Math.abs(other.x - x));
  return near[0]?.items ?? [];
}

/** Draw a row of marks, with words beside them where there is room. */
export function drawMarks(picture, row) {
  const { context, scene } = picture;
  const marks = marksOf(picture, row);
  const middle = row.top + row.height / 2;
  marks.forEach(({ x, items }, at) => {
    const item = items.find((one) => one.kind === "fault") ?? items[0];
    drawMark(context, row.kind === "actions" ? "action" : item.kind, x, middle);
    if (items.some((one) => isChosen(one, scene.chosen))) drawRing(context, x, middle);
    const room = (marks[at + 1]?.x ?? scene.layout.right) - x - 20;
    context.fillStyle = inkOf(item.kind);
    context.font = `12px ${FONT}`;
    context.textAlign = "left";
    clippedText(context, items.length > 1 ? `${items.length}` : markText(row.kind, item), x + 9, middle + 0.5, room);
  });
}

const isChosen = (item, chosen) => item === chosen || (item.id && item.id === chosen?.id);
const inkOf = (kind) => (kind === "fault" ? palette().fault.css : palette().ink.css);

function drawMark(context, kind, x, y) {
  context.fillStyle = inkOf(kind);
  context.beginPath();
  shape(context, kind, x, y, 5);
  context.fill();
}

function drawRing(context, x, y) {
  context.strokeStyle = palette().focus.css;
  context.lineWidth = 2;
  context.beginPath();
  context.arc(x, y, 9, 0, 2 * Math.PI);
  context.stroke();
}

/** Trace a mark's shape. */
function shape(context, kind, x, y, r) {
  if (kind === "fault") polygon(context, [x, y - r - 1, x + r + 1, y, x, y + r + 1, x - r - 1, y]);
  else if (kind === "action") polygon(context, [x - r, y - r, x + r, y - r, x, y + r]);
  else if (kind === "alarm") polygon(context, [x, y - r, x + r, y + r, x - r, y + r]);
  else if (kind === "state") context.arc(x, y, r, 0, 2 * Math.PI);
  else context.rect(x - r + 1, y - r + 1, 2 * r - 2, 2 * r - 2);
}

function polygon(context, points) {
  context.moveTo(points[0], points[1]);
  for (let i = 2; i < points.length; i += 2) context.lineTo(points[i], points[i + 1]);
  context.closePath();
}
