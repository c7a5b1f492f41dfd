// "Who owns this memory?": one square per 4 KiB frame of the host, coloured and patterned by its owner.
// Data: lab.owners (code per frame), lab.legend (code -> FrameOwner).
import { palette, patternBit, vmLetter } from "./patterns.js";

const FRESH_MS = 700;
const CALM = matchMedia("(prefers-reduced-motion: reduce)");

/** Frames that are numbered one after another stand together in blocks of 4 x 4, where squares are large enough to see. */
const SIDE = 4;
const BLOCK = SIDE * SIDE;
const LEAST_CELL = 3;

/**
 * Where each frame stands: as many columns as fill `width` x `height` device pixels best. Where not even one pixel per
 * frame fits, `cell` is 1 and the picture is shown smaller than it is drawn.
 * @typedef {{columns: number, rows: number, cell: number, shown: number, side: number}} Shape
 *   cell: device pixels of a square as drawn; shown: as seen; side: squares along a block (4, or 1 for none)
 * @returns {Shape}
 */
export function layout(frames, width, height) {
  let best = { columns: 0, rows: 0, cell: 0, shown: 0, side: 1 };
  for (let columns = 32; columns <= 1024; columns *= 2) {
    const rows = Math.ceil(frames / columns / SIDE) * SIDE;
    const fitting = Math.min(width / columns, height / rows);
    const shown = fitting >= 1 ? Math.floor(fitting) : fitting;
    if (shown > best.shown) best = { columns, rows, cell: Math.max(1, shown), shown, side: shown >= LEAST_CELL ? SIDE : 1 };
  }
  return best;
}

/** The column and row of a frame. @param {Shape} shape */
export function place(index, { columns, side }) {
  const across = columns / side;
  const block = Math.floor(index / (side * side));
  const inside = index % (side * side);
  return [(block % across) * side + (inside % side), Math.floor(block / across) * side + Math.floor(inside / side)];
}

/** The frame at a column and row; the inverse of `place`. @param {Shape} shape */
export function frameAt(column, row, { columns, side }) {
  const block = Math.floor(row / side) * (columns / side) + Math.floor(column / side);
  return block * side * side + (row % side) * side + (column % side);
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
    const column = Math.floor(x / this.step);
    const row = Math.floor(y / this.step);
    if (column < 0 || row < 0 || column >= this.shape.columns || row >= this.shape.rows) return null;
    const index = frameAt(column, row, this.shape);
    return index < this.lab.owners.length ? index : null;
  }

  draw() {
    const box = this.canvas.parentElement.clientWidth;
    const frames = this.lab.owners.length;
    if (!box || !frames) return;
    const ratio = window.devicePixelRatio || 1;
    const tall = Math.max(192, Math.min(384, box * (frames > 32768 ? 1 : 0.55))) * ratio;
    this.shape = layout(frames, box * ratio, tall);
    const { columns, rows, cell, shown } = this.shape;
    this.size(columns * cell, rows * cell, (columns * shown) / ratio);
    this.step = this.cssWidth / columns;
    this.context.putImageData(this.paint(Math.max(1, Math.round(ratio))), 0, 0);
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

  paint(scale) {
    const { columns, rows, cell } = this.shape;
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
      const [column, row] = place(i, this.shape);
      const left = column * cell;
      const top = row * cell;
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
      for (const [first, count] of changed) this.fillRun(first, count);
    }
    this.context.globalAlpha = 1;
    if (this.fresh.length) this.ask();
  }

  fillRun(first, count) {
    const { cell, side } = this.shape;
    for (let at = first; at < first + count; ) {
      const whole = at % BLOCK === 0 && first + count - at >= BLOCK && side === SIDE;
      const [column, row] = place(at, this.shape);
      const width = whole ? side * cell : cell;
      this.context.fillRect(column * cell, row * cell, width, width);
      at += whole ? BLOCK : 1;
    }
  }

  /** Write the owner's letter on every patch that it has to itself: the picture carries its own labels. */
  drawLabels(ratio) {
    const { cell } = this.shape;
    for (const { left, top, right, bottom, code } of worthALabel(patches(this.lab.owners, this.shape), this.lab.legend)) {
      const entry = this.lab.legend.get(code);
      const text = entry && labelOf(entry);
      const [width, height] = [(right - left) * cell, (bottom - top) * cell];
      if (!text || height < 12 * ratio) continue;
      const plate = Math.min(18 * ratio, height * 0.62);
      this.context.font = `650 ${Math.min(13 * ratio, plate * 0.9)}px "Source Sans 3", sans-serif`;
      const needed = this.context.measureText(text).width + 5 * ratio;
      if (needed + 2 * ratio > width) continue;
      this.plate(text, entry, left * cell + (width - 1) / 2, top * cell + (height - 1) / 2, needed, plate);
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
    const { cell } = this.shape;
    const [x, y] = place(index, this.shape).map((square) => square * cell);
    this.context.strokeStyle = palette().paper.css;
    this.context.lineWidth = 5;
    this.context.strokeRect(x - 1, y - 1, cell + 1, cell + 1);
    this.context.strokeStyle = palette().ink.css;
    this.context.lineWidth = 2;
    this.context.strokeRect(x - 1, y - 1, cell + 1, cell + 1);
  }
}

/** Rectangles of squares with one owner: blocks (or rows of squares) merged to the right, then downwards. */
function patches(owners, shape) {
  const step = shape.side;
  const open = new Map();
  const done = [];
  for (let row = 0; row + step <= shape.rows; row += step) {
    const strips = new Map();
    for (let column = 0; column < shape.columns; ) {
      const code = blockCode(owners, column, row, shape);
      let end = column + step;
      while (end < shape.columns && code !== null && blockCode(owners, end, row, shape) === code) end += step;
      if (code !== null) strips.set(`${column}/${end}/${code}`, { left: column, right: end, top: row, bottom: row + step, code });
      column = end;
    }
    for (const [key, patch] of open) {
      if (strips.has(key)) strips.set(key, { ...patch, bottom: row + step });
      else done.push(patch);
    }
    open.clear();
    for (const [key, patch] of strips) open.set(key, patch);
  }
  return [...done, ...open.values()];
}

/** Every patch of a VM, and the largest one of everything else. */
function worthALabel(found, legend) {
  const area = (patch) => (patch.right - patch.left) * (patch.bottom - patch.top);
  const largest = new Map();
  for (const patch of found) if (!largest.has(patch.code) || area(patch) > area(largest.get(patch.code))) largest.set(patch.code, patch);
  return found.filter((patch) => legend.get(patch.code)?.owner === "vm" || largest.get(patch.code) === patch);
}

/** The code of a block, or null where it has several owners or lies behind the last frame. */
function blockCode(owners, column, row, shape) {
  const first = frameAt(column, row, shape);
  const size = shape.side * shape.side;
  if (first + size > owners.length) return null;
  for (let i = 1; i < size; i++) if (owners[first + i] !== owners[first]) return null;
  return owners[first];
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
