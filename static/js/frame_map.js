// "Who owns this memory?": one square per 4 KiB frame of the host, coloured and patterned by its owner.
// Data: lab.owners (code per frame), lab.legend (code -> FrameOwner), lab.firstHfn.
import { palette, patternBit, vmLetter } from "./patterns.js";

const FRESH_MS = 700;
const CALM = matchMedia("(prefers-reduced-motion: reduce)");

/**
 * How many columns (a power of two) fill `width` x `height` device pixels best, and how large a square then is. Where not
 * even one pixel per frame fits, `cell` is 1 and the picture is shown smaller than it is drawn.
 * @returns {{columns: number, rows: number, cell: number, shown: number}} shown: device pixels per square on screen
 */
export function layout(frames, width, height) {
  let best = { columns: 0, rows: 0, cell: 0, shown: 0 };
  for (let columns = 32; columns <= 1024; columns *= 2) {
    const rows = Math.ceil(frames / columns);
    const fitting = Math.min(width / columns, height / rows);
    const shown = fitting >= 1 ? Math.floor(fitting) : fitting;
    if (shown > best.shown) best = { columns, rows, cell: Math.max(1, shown), shown };
  }
  return { ...best, cell: Math.ceil(best.cell) };
}

/** The maximal runs of frames with one code: [[first, count, code], ...]. @param {Uint8Array} owners */
export function runs(owners) {
  const found = [];
  for (let first = 0, i = 1; i <= owners.length; i++) {
    if (i === owners.length || owners[i] !== owners[first]) {
      found.push([first, i - first, owners[first]]);
      first = i;
    }
  }
  return found;
}

export class FrameMap {
  /** @param {HTMLCanvasElement} canvas @param {import("./lab.js").Lab} lab */
  constructor(canvas, lab) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.lab = lab;
    this.fresh = [];
    this.cursor = null;
    this.pending = 0;
    this.shape = null;
  }

  /** Draw soon, once. */
  ask() {
    this.pending ||= requestAnimationFrame(() => {
      this.pending = 0;
      this.draw();
    });
  }

  /** Show that runs of frames changed hands. @param {[number, number][]} changed */
  mark(changed) {
    if (!CALM.matches && changed.length) this.fresh.push({ since: performance.now(), runs: changed });
    this.ask();
  }

  /** The frame index under a point of the canvas (CSS pixels), or null. */
  at(x, y) {
    if (!this.shape) return null;
    const { columns, step } = this.shape;
    const column = Math.floor(x / step);
    const index = Math.floor(y / step) * columns + column;
    return column >= 0 && column < columns && index >= 0 && index < this.lab.owners.length ? index : null;
  }

  draw() {
    const box = this.canvas.parentElement.clientWidth;
    const frames = this.lab.owners.length;
    if (!box || !frames) return;
    const ratio = window.devicePixelRatio || 1;
    const tall = Math.max(192, Math.min(384, box * (frames > 32768 ? 1 : 0.55))) * ratio;
    const { columns, rows, cell, shown } = layout(frames, box * ratio, tall);
    this.size(columns * cell, rows * cell, (columns * shown) / ratio);
    this.shape = { columns, rows, cell, step: this.cssWidth / columns };
    this.context.putImageData(this.paint(columns, rows, cell, Math.max(1, Math.round(ratio))), 0, 0);
    this.drawFresh();
    this.drawLabels(ratio);
    if (this.cursor !== null) this.outline(this.cursor);
  }

  size(width, height, cssWidth) {
    if (this.canvas.width !== width) this.canvas.width = width;
    if (this.canvas.height !== height) this.canvas.height = height;
    this.cssWidth = cssWidth;
    this.canvas.style.width = `${cssWidth}px`;
    this.canvas.style.height = `${(height * cssWidth) / width}px`;
  }

  /** Two colour words per code: the ground and the pattern's mark. */
  colours() {
    const colours = palette();
    const table = [];
    for (const entry of this.lab.legend.values()) table[entry.code] = codeColours(entry, colours);
    return table;
  }

  paint(columns, rows, cell, scale) {
    const image = this.context.createImageData(columns * cell, rows * cell);
    const words = new Uint32Array(image.data.buffer);
    const table = this.colours();
    const { owners } = this.lab;
    const gap = cell >= 4 ? 1 : 0;
    const ground = palette().ground.word;
    const width = columns * cell;
    words.fill(ground);
    for (let i = 0; i < owners.length; i++) {
      const colour = table[owners[i]];
      if (!colour) continue;
      const left = (i % columns) * cell;
      const top = Math.floor(i / columns) * cell;
      for (let y = top; y < top + cell - gap; y++) {
        for (let x = left; x < left + cell - gap; x++) words[y * width + x] = colour.word(x, y, scale, left, top, cell - gap);
      }
    }
    return image;
  }

  drawFresh() {
    const now = performance.now();
    this.fresh = this.fresh.filter(({ since }) => now - since < FRESH_MS);
    for (const { since, runs: changed } of this.fresh) {
      this.context.globalAlpha = 0.75 * (1 - (now - since) / FRESH_MS);
      this.context.fillStyle = palette().ink.css;
      for (const [first, count] of changed) for (const rectangle of this.rectangles(first, count)) this.context.fillRect(...rectangle);
    }
    this.context.globalAlpha = 1;
    if (this.fresh.length) this.ask();
  }

  /** A run of frames as at most three rectangles (head, whole rows, tail) in device pixels. */
  rectangles(first, count) {
    const { columns, cell } = this.shape;
    const found = [];
    let at = first;
    const end = first + count;
    while (at < end) {
      const column = at % columns;
      const row = Math.floor(at / columns);
      const whole = column === 0 ? Math.floor((end - at) / columns) : 0;
      const length = whole ? whole * columns : Math.min(columns - column, end - at);
      found.push([column * cell, row * cell, (whole ? columns : length) * cell, (whole || 1) * cell]);
      at += length;
    }
    return found;
  }

  /** Write the owner's letter on the largest rectangle of each long run: the picture carries its own labels. */
  drawLabels(ratio) {
    for (const [first, count, code] of runs(this.lab.owners)) {
      const entry = this.lab.legend.get(code);
      const [x, y, width, height] = this.rectangles(first, count).reduce((a, b) => (a[2] * a[3] >= b[2] * b[3] ? a : b));
      const text = entry && labelOf(entry);
      if (!text) continue;
      const plate = Math.min(20 * ratio, height - 2);
      if (plate < 9 * ratio) continue;
      this.context.font = `650 ${Math.min(13 * ratio, plate * 0.8)}px "Source Sans 3", sans-serif`;
      const needed = this.context.measureText(text).width + 10 * ratio;
      if (needed + 4 > width) continue;
      this.plate(text, entry, x + width / 2, y + height / 2, needed, plate);
    }
  }

  plate(text, entry, x, y, width, height) {
    const colours = palette();
    const { context } = this;
    context.fillStyle = entry.owner === "free" ? colours.free.css : colours.paper.css;
    context.beginPath();
    context.roundRect(Math.round(x - width / 2), Math.round(y - height / 2), Math.round(width), Math.round(height), 3);
    context.fill();
    context.fillStyle = entry.owner === "vm" ? colours.vm(entry.vm_index).solid.css : colours.inkSoft.css;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText(text, x, y + height * 0.05);
  }

  outline(index) {
    const { columns, cell } = this.shape;
    const x = (index % columns) * cell;
    const y = Math.floor(index / columns) * cell;
    this.context.strokeStyle = palette().paper.css;
    this.context.lineWidth = 5;
    this.context.strokeRect(x - 1, y - 1, cell + 1, cell + 1);
    this.context.strokeStyle = palette().ink.css;
    this.context.lineWidth = 2;
    this.context.strokeRect(x - 1, y - 1, cell + 1, cell + 1);
  }
}

function labelOf(entry) {
  if (entry.owner === "vm") return entry.role === "guest RAM" ? vmLetter(entry.vm_index) : "";
  return entry.owner === "free" ? "free" : "hypervisor";
}

/** How the frames of one code are painted: `word(x, y, ...)` is the colour of a pixel. */
function codeColours(entry, colours) {
  if (entry.owner === "vm") {
    const { solid, mark } = colours.vm(entry.vm_index);
    if (entry.role === "guest RAM") {
      // Where squares are large enough, each holds the pattern whole, so that scattered frames can be told apart.
      const tile = (x, y, left, top, side) => patternBit(entry.vm_index, Math.floor(((x - left) * 8) / side), Math.floor(((y - top) * 8) / side));
      const plain = (x, y, scale) => patternBit(entry.vm_index, Math.floor(x / scale), Math.floor(y / scale));
      return { word: (x, y, scale, left, top, side) => ((side >= 8 * scale ? tile(x, y, left, top, side) : side >= 4 ? small(entry.vm_index, x - left, y - top, side, scale) : plain(x, y, scale)) ? mark.word : solid.word) };
    }
    return { word: (x, y, scale, left, top, side) => (frameEdge(x - left, y - top, side, scale) ? solid.word : colours.hypervisorSoft.word) };
  }
  if (entry.owner === "hypervisor") return { word: () => colours.hypervisorSoft.word };
  return { word: (x, y, scale, left, top, side) => (side >= 4 && frameEdge(x - left, y - top, side, 1) ? colours.rule.word : colours.free.word) };
}

const frameEdge = (x, y, side, thick) => x < thick || y < thick || x >= side - thick || y >= side - thick;

/** The eight patterns in a square of a few pixels: one stroke each. */
function small(index, x, y, side, thick) {
  const middle = (side - thick) / 2;
  const across = (v) => v >= Math.floor(middle) && v < Math.floor(middle) + thick;
  const slash = (v) => Math.abs(v) < thick;
  switch (index % 8) {
    case 0:
      return slash(x + y - (side - 1));
    case 1:
      return Math.hypot(x - (side - 1) / 2, y - (side - 1) / 2) <= side * 0.26;
    case 2:
      return across(y);
    case 3:
      return slash(x + y - (side - 1)) || slash(x - y);
    case 4:
      return across(x);
    case 5:
      return slash(x - y);
    case 6:
      return x < side / 2 === y < side / 2;
    default:
      return frameEdge(x, y, side, thick);
  }
}
