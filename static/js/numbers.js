// Numbers as the page writes them: a unit, and at most three significant digits. Exact values go into titles.

const MINUS = "\u2212";
const NARROW = "\u202f";

/** Return `value` with at most three significant digits and no exponent. @param {number} value */
export function three(value) {
  if (value === 0) return "0";
  if (value < 0) return MINUS + three(-value);
  const digits = Math.max(0, 2 - Math.floor(Math.log10(value)));
  const rounded = digits > 12 ? 0 : Number(value.toFixed(digits));
  return rounded >= 1000 ? String(Math.round(rounded)) : String(Number(rounded.toPrecision(3)));
}

function scaled(value, steps) {
  for (const [factor, unit] of steps) {
    if (value >= factor * 0.9995) return `${three(value / factor)} ${unit}`;
  }
  const [factor, unit] = steps[steps.length - 1];
  return `${three(value / factor)} ${unit}`;
}

const TIME = [
  [1e9, "s"],
  [1e6, "ms"],
  [1e3, "\u00b5s"],
  [1, "ns"],
];
const BYTES = [
  [2 ** 30, "GiB"],
  [2 ** 20, "MiB"],
  [2 ** 10, "KiB"],
  [1, "B"],
];

/** Virtual time. @param {number} ns */
export const time = (ns) => scaled(ns, TIME);

/** A size. @param {number} bytes */
export const size = (bytes) => scaled(bytes, BYTES);

/** A count: 27, 1.23 k, 4.56 M. @param {number} n */
export function count(n) {
  if (n < 1000) return String(n);
  return scaled(n, [
    [1e9, "G"],
    [1e6, "M"],
    [1e3, "k"],
  ]);
}

/** A share of a whole. @param {number} part @param {number} whole */
export function percent(part, whole) {
  if (!whole) return "0 %";
  const value = (100 * part) / whole;
  return value > 0 && value < 0.1 ? "< 0.1 %" : `${three(value)} %`;
}

/** An exact whole number, digits in groups of three. @param {number} n */
export const exact = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, NARROW);

/** Cycles of a pCPU clock in nanoseconds. @param {number} cycles @param {number} hz */
export const nanoseconds = (cycles, hz) => (cycles / hz) * 1e9;

/** An address: leading zeros dropped to at least eight digits. @param {string} value */
export const address = (value) => `0x${BigInt(value).toString(16).padStart(8, "0")}`;

/** A host frame number. @param {number} hfn */
export const frameNumber = (hfn) => `0x${hfn.toString(16)}`;
