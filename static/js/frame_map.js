// A map of memory: one square per 4 KiB, painted by a code per square. "Who owns this memory?" shows the owners of all host
// frames, the Memory view any layer of them or of a VM's pages.
// Data: a source {codes: Uint8Array, paints: () => Paint[] by code, label: (code) => {text, paint} | null}.
import { FONT } from "./canvas_text.js";
import { typeScale, visibleWidth } from "./element.js";
import { BLOCK, SIDE, frameAt, layout, patches, place } from "./frame_layout.js";
import { palette } from "./patterns.js";

const FRESH_MS = 700;
const LABELS_MS = 500;
const MOST_FRESH = 200; // runs: where more change at once, nobody can follow one
const MOST_STALE = 20000;
const CALM = matchMedia("(prefers-reduced-motion: reduce)");

export class FrameMap {
  /** @param {HTMLCanvasElement} canvas @param {any} source @param {{tall?: (box: number, frames: number) => number}} [how] */
  constructor(canvas, source, { tall = usualHeight } = {}) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.source = source;
    this.tall = tall;
    this.fresh = [];
    this.cursor = null;
    this.chosen = null;
    this.pending = 0;
    this.shape = null;
    /** How much of the map is seen: all at 1, and from which square on. */
    this.zoom = 1;
    this.first = 0;
    this.count = 0;
    /** The picture without cursor and movement; null when all of it has to be painted again. */
    this.base = null;
    this.labelled = null;
    this.labels = [];
    /** Whether something has changed since labels were found. */
    this.changed = false;
    /** Runs of squares that have to be painted again: [[first, count], ...]. */
    this.stale = [];
  }

  /** Draw soon, once. */
  ask() {
    this.pending ||= requestAnimationFrame(() => {
      this.pending = 0;
      this.draw();
    });
  }

  /** Paint all of it again, because the source, theme, font or size changed. */
  repaint() {
    this.base = null;
    this.ask();
  }

  /** Paint runs of squares again, and show that they changed. @param {number[][]} changed */
  mark(changed) {
    if (this.base) for (const run of changed) this.stale.push(run);
    if (this.stale.length > MOST_STALE) this.base = null;
    this.changed = true;
    if (!CALM.matches && changed.length && changed.length <= MOST_FRESH)
      this.fresh.push({ since: performance.now(), runs: changed });
    this.ask();
  }

  /** The index of the square under a point of the canvas (CSS pixels), or null. */
  at(x, y) {
    if (!this.shape) return null;
    const column = Math.floor(x / this.step);
    const row = Math.floor(y / this.step);
    if (column < 0 || row < 0 || column >= this.shape.columns || row >= this.shape.rows) return null;
    const index = this.first + frameAt(column, row, this.shape);
    return index < Math.min(this.first + this.count, this.source.codes.length) ? index : null;
  }

  /** Look closer (> 1) or wider (< 1), keeping `index` in sight. */
  zoomBy(factor, index) {
    const total = this.source.codes.length;
    const most = Math.max(1, total / 64);
    this.zoom = Math.min(most, Math.max(1, this.zoom * factor));
    this.scrollTo(index ?? this.first + this.count / 2, true);
  }

  /** Move the part that is seen so that `index` is in it; in its middle if `centred`. */
  scrollTo(index, centred = false) {
    const total = this.source.codes.length;
    const seen = Math.min(total, Math.ceil(total / this.zoom / 64) * 64);
    if (!centred && seen === this.count && index >= this.first && index < this.first + seen) return;
    const first = Math.max(0, Math.min(total - seen, Math.round((index - seen / 2) / 64) * 64));
    if (first === this.first && seen === this.count) return;
    this.first = first;
    this.count = seen;
    this.repaint();
  }

  draw() {
    const box = (this.box = visibleWidth(this.canvas, this.box));
    const total = this.source.codes.length;
    if (!box || !total) return;
    if (this.zoom === 1 || this.first + this.count > total) {
      if (this.count !== total) this.base = null;
      [this.zoom, this.first, this.count] = [1, 0, total];
    }
    if (this.base) this.paintStale();
    else this.paintBase(box, window.devicePixelRatio || 1);
    this.context.drawImage(this.base, 0, 0);
    this.drawLabels();
    this.drawFresh();
    for (const index of new Set([this.chosen, this.cursor])) if (this.shows(index)) this.outline(index);
  }

  shows(index) {
    return index !== null && index >= this.first && index < this.first + this.count;
  }

  paintBase(box, ratio) {
    const tall = this.tall(box, this.count) * ratio;
    this.ratio = ratio;
    this.shape = layout(this.count, box * ratio, tall);
    const { columns, rows, cell, shown } = this.shape;
    this.size(columns * cell, rows * cell, (columns * shown) / ratio);
    this.step = this.cssWidth / columns;
    this.base = new OffscreenCanvas(columns * cell, rows * cell);
    this.image = this.context.createImageData(columns * cell, rows * cell);
    this.words = new Uint32Array(this.image.data.buffer).fill(palette().ground.word);
    this.paints = this.source.paints();
    this.stale = [];
    this.paintRun(this.first, this.count);
    this.base.getContext("2d").putImageData(this.image, 0, 0);
    this.labelled = null;
  }

  size(width, height, cssWidth) {
    if (this.canvas.width !== width) this.canvas.width = width;
    if (this.canvas.height !== height) this.canvas.height = height;
    this.cssWidth = cssWidth;
    this.canvas.style.width = `${cssWidth}px`;
    this.canvas.style.height = `${(height * cssWidth) / width}px`;
  }

  /** Paint what has changed, and copy the rows that it stands in. */
  paintStale() {
    if (!this.stale.length) return;
    this.paints = this.source.paints();
    const { cell, columns, side } = this.shape;
    const strip = columns * side;
    const dirty = new Set();
    for (const [first, count] of this.stale) {
      const from = Math.max(first, this.first);
      const to = Math.min(first + count, this.first + this.count);
      if (from >= to) continue;
      this.paintRun(from, to - from);
      const last = Math.floor((to - 1 - this.first) / strip);
      for (let at = Math.floor((from - this.first) / strip); at <= last; at++) dirty.add(at);
    }
    this.stale = [];
    const context = this.base.getContext("2d");
    const high = side * cell;
    for (const [first, count] of joined([...dirty].sort((a, b) => a - b)))
      context.putImageData(this.image, 0, 0, 0, first * high, this.image.width, count * high);
  }

  /** Paint squares of the image. */
  paintRun(first, count) {
    const { columns, cell, side } = this.shape;
    const { codes } = this.source;
    const { words, paints } = this;
    const width = columns * cell;
    const scale = Math.max(1, Math.round(this.ratio));
    const solid = cell - (cell >= 4 ? 1 : 0);
    const across = columns / side;
    const size = side * side;
    const ground = palette().ground.word;
    for (let at = first - this.first; at < first - this.first + count; at++) {
      const block = Math.floor(at / size);
      const inside = at - block * size;
      const left = ((block % across) * side + (inside % side)) * cell;
      const top = (Math.floor(block / across) * side + Math.floor(inside / side)) * cell;
      const paint = paints[codes[at + this.first]];
      for (let y = top; y < top + solid; y++) {
        const row = y * width;
        for (let x = left; x < left + solid; x++)
          words[row + x] = paint ? paint.word(x, y, scale, left, top, solid) : ground;
      }
    }
  }

  drawFresh() {
    const now = performance.now();
    this.fresh = this.fresh.filter(({ since }) => now - since < FRESH_MS);
    for (const { since, runs: changed } of this.fresh) {
      this.context.globalAlpha = 0.75 * (1 - (now - since) / FRESH_MS);
      this.context.fillStyle = palette().ink.css;
      for (const [first, count] of changed) this.fillRun(first - this.first, count);
    }
    this.context.globalAlpha = 1;
    if (this.fresh.length) this.ask();
  }

  fillRun(first, count) {
    const { cell, side } = this.shape;
    for (let at = Math.max(0, first); at < Math.min(this.count, first + count);) {
      const whole = at % BLOCK === 0 && first + count - at >= BLOCK && side === SIDE;
      const [column, row] = place(at, this.shape);
      const width = whole ? side * cell : cell;
      this.context.fillRect(column * cell, row * cell, width, width);
      at += whole ? BLOCK : 1;
    }
  }

  /** Write the label on every patch that is large enough for it: the picture carries its own labels. */
  drawLabels() {
    const now = performance.now();
    if (this.labelled === null || now - this.labelled > LABELS_MS) {
      this.labelled = now;
      this.labels = this.findLabels();
      this.changed = false;
    } else if (this.changed) this.labelLater(LABELS_MS - (now - this.labelled));
    for (const { text, ink, ground, x, y, width, height, size } of this.labels) {
      this.context.font = `650 ${size}px ${FONT}`;
      plate(this.context, text, ink, ground, x, y, width, height);
    }
  }

  /** The last change is labelled too, when it is time. */
  labelLater(ms) {
    this.later ||= setTimeout(() => {
      this.later = 0;
      this.ask();
    }, ms + 1);
  }

  findLabels() {
    const { cell, shown } = this.shape;
    const ratio = (this.ratio * typeScale()) / Math.min(1, shown);
    const seen = this.source.codes.subarray(this.first, this.first + this.count);
    const found = [];
    for (const { left, top, right, bottom, code } of worthALabel(patches(seen, this.shape), this.source)) {
      const label = this.source.label(code);
      const [width, height] = [(right - left) * cell, (bottom - top) * cell];
      if (!label?.text || height < 12 * ratio) continue;
      const high = Math.min(18 * ratio, height * 0.62);
      const size = Math.min(13 * ratio, high * 0.9);
      this.context.font = `650 ${size}px ${FONT}`;
      const needed = this.context.measureText(label.text).width + 5 * ratio;
      if (needed + 2 * ratio > width) continue;
      const [x, y] = [left * cell + (width - 1) / 2, top * cell + (height - 1) / 2];
      found.push({ ...label, x, y, width: needed, height: high, size });
    }
    return found;
  }

  outline(index) {
    const { cell } = this.shape;
    const [x, y] = place(index - this.first, this.shape).map((square) => square * cell);
    this.context.strokeStyle = palette().paper.css;
    this.context.lineWidth = 5;
    this.context.strokeRect(x - 1, y - 1, cell + 1, cell + 1);
    this.context.strokeStyle = palette().ink.css;
    this.context.lineWidth = 2;
    this.context.strokeRect(x - 1, y - 1, cell + 1, cell + 1);
  }
}

const usualHeight = (box, frames) => Math.max(192, Math.min(384 * typeScale(), 0.47 * innerHeight, box * (frames > 32768 ? 1 : 0.55)));

/** Numbers in order as runs: [[first, count], ...]. */
function joined(numbers) {
  const found = [];
  for (const number of numbers) {
    const last = found.at(-1);
    if (last && last[0] + last[1] === number) last[1] += 1;
    else found.push([number, 1]);
  }
  return found;
}

/** Every patch of a code that is labelled each time, and the largest one of everything else. */
function worthALabel(found, source) {
  const area = (patch) => (patch.right - patch.left) * (patch.bottom - patch.top);
  const largest = new Map();
  for (const patch of found)
    if (!largest.has(patch.code) || area(patch) > area(largest.get(patch.code)))
      largest.set(patch.code, patch);
  return found.filter((patch) => source.label(patch.code)?.each || largest.get(patch.code) === patch);
}

function plate(context, text, ink, ground, x, y, width, height) {
  context.fillStyle = ground;
  context.beginPath();
  context.roundRect(
    Math.round(x - width / 2),
    Math.round(y - height / 2),
    Math.round(width),
    Math.round(height),
    3,
  );
  context.fill();
  context.fillStyle = ink;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText(text, x, y + height * 0.05);
}
