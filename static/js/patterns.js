// The eight patterns and colours of the VMs on canvas; css/tokens.css draws the same eight as CSS backgrounds.

/** 8x8 tiles, one per VM class; "#" is drawn in the second colour. */
const TILES = [
  ["...#...#", "..#...#.", ".#...#..", "#...#...", "...#...#", "..#...#.", ".#...#..", "#...#..."],
  ["........", ".##..##.", ".##..##.", "........", "........", ".##..##.", ".##..##.", "........"],
  ["########", "........", "........", "........", "########", "........", "........", "........"],
  ["#...#...", ".#.#.#.#", "..#...#.", ".#.#.#.#", "#...#...", ".#.#.#.#", "..#...#.", ".#.#.#.#"],
  ["#...#...", "#...#...", "#...#...", "#...#...", "#...#...", "#...#...", "#...#...", "#...#..."],
  ["#...#...", ".#...#..", "..#...#.", "...#...#", "#...#...", ".#...#..", "..#...#.", "...#...#"],
  ["####....", "####....", "####....", "####....", "....####", "....####", "....####", "....####"],
  ["########", "#.......", "#.......", "#.......", "#.......", "#.......", "#.......", "#......."],
];

const BITS = TILES.map((rows) => Uint8Array.from(rows.join("").split(""), (mark) => (mark === "#" ? 1 : 0)));

/** The class number (1..8) of a VM; after eight VMs colours repeat, letters do not. @param {number} index */
export const vmClass = (index) => (index % 8) + 1;

/** The letter of a VM: A..Z, then AA, AB, ... @param {number} index */
export function vmLetter(index) {
  const last = String.fromCharCode(65 + (index % 26));
  return index < 26 ? last : vmLetter(Math.floor(index / 26) - 1) + last;
}

/** Return whether the pattern of a VM has its second colour at a pixel. */
export const patternBit = (index, x, y) => BITS[index % 8][(y & 7) * 8 + (x & 7)];

/** Read a colour token as [r, g, b]; works for light-dark() and color-mix(). */
function readToken(probe, expression) {
  probe.style.color = expression;
  const canvas =
    readToken.canvas ??
    (readToken.canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true }));
  canvas.fillStyle = getComputedStyle(probe).color;
  canvas.fillRect(0, 0, 1, 1);
  return Array.from(canvas.getImageData(0, 0, 1, 1).data.subarray(0, 3));
}

/**
 * The colours of the current theme, as CSS strings and as little-endian RGBA words for putImageData.
 * @typedef {{css: string, word: number}} Colour
 */
class Palette {
  constructor() {
    const probe = document.createElement("span");
    probe.hidden = true;
    document.body.append(probe);
    const read = (expression) => {
      const [r, g, b] = readToken(probe, expression);
      return { css: `rgb(${r} ${g} ${b})`, word: ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0 };
    };
    for (const name of [
      "paper",
      "ground",
      "surface",
      "ink",
      "ink-soft",
      "rule",
      "edge",
      "focus",
      "fault",
      "hypervisor",
      "hypervisor-soft",
      "free",
      "vm-ink",
    ]) {
      this[name.replace(/-(\w)/g, (_, letter) => letter.toUpperCase())] = read(`var(--${name})`);
    }
    this.vms = Array.from({ length: 8 }, (_, i) => ({
      solid: read(`var(--vm-${i + 1})`),
      mark: read(`color-mix(in oklab, var(--vm-${i + 1}) 45%, var(--paper))`),
      faint: read(`color-mix(in oklab, var(--vm-${i + 1}) 35%, var(--paper))`),
    }));
    /** Shades of ink on paper, from light to dark, for what is not about who. */
    this.tones = [14, 34, 58, 84].map((part) => read(`color-mix(in oklab, var(--ink) ${part}%, var(--paper))`));
    probe.remove();
  }

  /** The colours of a VM. @param {number} index */
  vm(index) {
    return this.vms[index % 8];
  }

  /** A canvas pattern for a VM, in device pixels times `scale`. */
  fill(context, index, scale) {
    const key = `${index % 8}/${scale}`;
    this.cache ??= new Map();
    if (!this.cache.has(key)) {
      const tile = new OffscreenCanvas(8 * scale, 8 * scale);
      const draw = tile.getContext("2d");
      for (let y = 0; y < 8; y++) {
        for (let x = 0; x < 8; x++) {
          draw.fillStyle = patternBit(index, x, y) ? this.vm(index).mark.css : this.vm(index).solid.css;
          draw.fillRect(x * scale, y * scale, scale, scale);
        }
      }
      this.cache.set(key, context.createPattern(tile, "repeat"));
    }
    return this.cache.get(key);
  }
}

let current = null;
const listeners = new Set();

/** The palette of the current theme. */
export const palette = () => (current ??= new Palette());

/** Call `redraw` when the theme changes. @param {() => void} redraw */
export const onTheme = (redraw) => listeners.add(redraw);

/** Forget the colours, because the theme changed. */
export function themeChanged() {
  current = null;
  for (const redraw of listeners) redraw();
}
