// "Who owns this memory?": one square per 4 KiB frame of the host, coloured and patterned by its owner.
// Data: lab.owners (code per frame), lab.legend (code -> FrameOwner).
import { BLOCK, SIDE, frameAt, layout, patches, place } from "./frame_layout.js";
import { visibleWidth } from "./element.js";
import { palette, patternBit, vmLetter } from "./patterns.js";

const FRESH_MS = 700;
const CALM = matchMedia("(prefers-reduced-motion: reduce)");

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
    /** The picture without cursor and movement; null when it has to be painted again. */
    this.base = null;
  }

  /** Draw soon, once. */
  ask() {
    this.pending ||= requestAnimationFrame(() => {
      this.pending = 0;
      this.draw();
    });
  }

  /** Paint again, because owners, theme, font or size changed. */
  repaint() {
    this.base = null;
    this.ask();
  }

  /** Show that runs of frames changed hands. @param {[number, number][]} changed */
  mark(changed) {
    if (!CALM.matches && changed.length) this.fresh.push({ since: performance.now(), runs: changed });
    this.repaint();
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
    const box = (this.box = visibleWidth(this.canvas, this.box));
    if (!box || !this.lab.owners.length) return;
    if (!this.base) this.paintBase(box, window.devicePixelRatio || 1);
    this.context.drawImage(this.base, 0, 0);
    this.drawFresh();
    if (this.cursor !== null) this.outline(this.cursor);
  }

  paintBase(box, ratio) {
    const frames = this.lab.owners.length;
    const tall = Math.max(192, Math.min(384, box * (frames > 32768 ? 1 : 0.55))) * ratio;
    this.shape = layout(frames, box * ratio, tall);
    const { columns, rows, cell, shown } = this.shape;
    this.size(columns * cell, rows * cell, (columns * shown) / ratio);
    this.step = this.cssWidth / columns;
    this.base = new OffscreenCanvas(columns * cell, rows * cell);
    const context = this.base.getContext("2d");
    context.putImageData(this.paint(Math.max(1, Math.round(ratio))), 0, 0);
    this.drawLabels(context, ratio / Math.min(1, shown));
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
        for (let x = left; x < left + cell - gap; x++)
          words[y * width + x] = colour.word(x, y, scale, left, top, cell - gap);
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
    for (let at = first; at < first + count;) {
      const whole = at % BLOCK === 0 && first + count - at >= BLOCK && side === SIDE;
      const [column, row] = place(at, this.shape);
      const width = whole ? side * cell : cell;
      this.context.fillRect(column * cell, row * cell, width, width);
      at += whole ? BLOCK : 1;
    }
  }

  /** Write the owner's letter on every patch that it has to itself: the picture carries its own labels. */
  drawLabels(context, ratio) {
    const { cell } = this.shape;
    for (const { left, top, right, bottom, code } of worthALabel(
      patches(this.lab.owners, this.shape),
      this.lab.legend,
    )) {
      const entry = this.lab.legend.get(code);
      const text = entry && labelOf(entry);
      const [width, height] = [(right - left) * cell, (bottom - top) * cell];
      if (!text || height < 12 * ratio) continue;
      const high = Math.min(18 * ratio, height * 0.62);
      context.font = `650 ${Math.min(13 * ratio, high * 0.9)}px "Source Sans 3", sans-serif`;
      const needed = context.measureText(text).width + 5 * ratio;
      if (needed + 2 * ratio > width) continue;
      plate(context, text, entry, left * cell + (width - 1) / 2, top * cell + (height - 1) / 2, needed, high);
    }
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

/** Every patch of a VM, and the largest one of everything else. */
function worthALabel(found, legend) {
  const area = (patch) => (patch.right - patch.left) * (patch.bottom - patch.top);
  const largest = new Map();
  for (const patch of found)
    if (!largest.has(patch.code) || area(patch) > area(largest.get(patch.code)))
      largest.set(patch.code, patch);
  return found.filter((patch) => legend.get(patch.code)?.owner === "vm" || largest.get(patch.code) === patch);
}

function plate(context, text, entry, x, y, width, height) {
  const colours = palette();
  context.fillStyle = entry.owner === "free" ? colours.free.css : colours.paper.css;
  context.beginPath();
  context.roundRect(
    Math.round(x - width / 2),
    Math.round(y - height / 2),
    Math.round(width),
    Math.round(height),
    3,
  );
  context.fill();
  context.fillStyle = entry.owner === "vm" ? colours.vm(entry.vm_index).solid.css : colours.inkSoft.css;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText(text, x, y + height * 0.05);
}

function labelOf(entry) {
  if (entry.owner === "vm") return entry.role === "guest RAM" ? vmLetter(entry.vm_index) : "";
  return entry.owner;
}

/** How the frames of one code are painted: `word(x, y, ...)` is the colour of a pixel. */
function codeColours(entry, colours) {
  if (entry.owner === "vm") {
    const { solid, mark } = colours.vm(entry.vm_index);
    if (entry.role === "guest RAM") {
      // Where squares are large enough, each holds the pattern whole, so that scattered frames can be told apart.
      const tile = (x, y, left, top, side) =>
        patternBit(entry.vm_index, Math.floor(((x - left) * 8) / side), Math.floor(((y - top) * 8) / side));
      const plain = (x, y, scale) => patternBit(entry.vm_index, Math.floor(x / scale), Math.floor(y / scale));
      return {
        word: (x, y, scale, left, top, side) =>
          (
            side >= 8 * scale
              ? tile(x, y, left, top, side)
              : side >= 4
                ? small(entry.vm_index, x - left, y - top, side, scale)
                : plain(x, y, scale)
          )
            ? mark.word
            : solid.word,
      };
    }
    return {
      word: (x, y, scale, left, top, side) =>
        frameEdge(x - left, y - top, side, scale) ? solid.word : colours.hypervisorSoft.word,
    };
  }
  if (entry.owner === "hypervisor") return { word: () => colours.hypervisorSoft.word };
  if (entry.owner === "shared") {
    return { word: (x, y) => ((x + y) % 4 < 2 ? colours.hypervisorSoft.word : colours.inkSoft.word) };
  }
  return {
    word: (x, y, scale, left, top, side) =>
      side >= 4 && frameEdge(x - left, y - top, side, 1) ? colours.rule.word : colours.free.word,
  };
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
