// The marks of the timeline: their shapes, and the words beside them. Data: entries of a window (timeline_data.js).

/** What a terminal would show of a text, on one line. */
export const printable = (text) =>
  text.replace(/\x1b\[[0-9;?]*[A-Za-z]?/g, "").replace(/[\x00-\x20]+/g, " ").trim();

/** The words at a mark. */
export function markText(kind, item) {
  if (kind === "actions") return [item.verb.replaceAll("_", " "), item.vm, item.text].filter(Boolean).join(" ");
  return item.text;
}

/** Trace a mark's shape: each kind has its own. */
export function shape(context, kind, x, y, r) {
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
