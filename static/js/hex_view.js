// Memory as bytes: a grid of 16 columns with the same as text beside it, in which every byte can be chosen.
// Data: MemoryView (GET memory?space=&address=&length=): pages[].address, .data (hex or null), .reason.
import { h, setText } from "./element.js";
import { words } from "./sentences.js";

const WIDTH = 16;
export const ROWS = 8;
export const LENGTH = WIDTH * ROWS;
const MASK = (1n << 64n) - 1n;

export const hex = (value, digits = 16) => `0x${value.toString(16).padStart(digits, "0")}`;

/** The first address of the window that shows `address`, which is kept if it already does. */
export function windowFor(address, shown) {
  if (shown !== null && address >= shown && address < shown + BigInt(LENGTH)) return shown;
  const start = (address & ~15n) - BigInt(WIDTH * 2);
  const last = MASK + 1n - BigInt(LENGTH);
  return start < 0n ? 0n : start > last ? last : start;
}

export class HexView {
  /** @param {HTMLElement} grid @param {(address: bigint) => void} chosen called when a byte is chosen here */
  constructor(grid, chosen) {
    this.grid = grid;
    this.start = null;
    this.address = null;
    this.bytes = [];
    grid.addEventListener("click", (event) => {
      const cell = event.target.closest("[data-at]");
      if (cell) chosen(this.start + BigInt(cell.dataset.at));
    });
    grid.addEventListener("keydown", (event) => {
      const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: WIDTH, ArrowUp: -WIDTH, PageDown: LENGTH, PageUp: -LENGTH };
      const step = by[event.key];
      if (step === undefined || this.address === null || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      const next = this.address + BigInt(step);
      if (next >= 0n && next <= MASK) chosen(next);
    });
  }

  /** Show a MemoryView with `address` chosen; what changed since the last one of the same place is marked. */
  show(memory, address) {
    const start = BigInt(memory.address);
    const bytes = memory.pages.flatMap((page) => {
      const until = BigInt(memory.address) + BigInt(memory.length);
      const rest = Number(until - BigInt(page.address));
      const size = Math.min(4096 - Number(BigInt(page.address) & 4095n), rest);
      return page.data === null ? Array(size).fill(null) : page.data.match(/../g);
    });
    const before = this.start === start ? this.bytes : null;
    const held = this.grid.contains(document.activeElement);
    if (this.start !== start || !this.grid.children.length) this.build(start);
    this.bytes = bytes;
    this.address = address;
    this.reasons = memory.pages.map((page) => words(page.reason)).filter(Boolean);
    const at = Number(address - start);
    for (const cell of this.grid.querySelectorAll("[data-at]")) {
      const index = Number(cell.dataset.at);
      const value = bytes[index] ?? null;
      setText(cell, value ?? "··");
      cell.className = value === null ? "none" : value === "00" ? "zero" : "";
      if (before && before[index] !== value) cell.classList.add("changed");
      cell.setAttribute("aria-selected", String(index === at));
      cell.tabIndex = index === at ? 0 : -1;
    }
    for (const cell of this.grid.querySelectorAll("[data-text]")) {
      const first = Number(cell.dataset.text);
      setText(cell, bytes.slice(first, first + WIDTH).map(letter).join(""));
    }
    if (held) this.grid.querySelector('[aria-selected="true"]')?.focus({ preventScroll: true });
  }

  build(start) {
    this.start = start;
    const rows = Array.from({ length: ROWS }, (_, row) =>
      h(
        "div",
        { role: "row" },
        h("span", { role: "rowheader", class: "address" }, shorter(hex(start + BigInt(row * WIDTH)))),
        ...Array.from({ length: WIDTH }, (_, column) =>
          h("span", { role: "gridcell", tabindex: -1, dataset: { at: row * WIDTH + column } }),
        ),
        h("span", { role: "gridcell", class: "text", dataset: { text: row * WIDTH } }),
      ),
    );
    this.grid.replaceChildren(...rows);
  }
}

const shorter = (address) => `0x${address.slice(2).replace(/^0{1,8}/, "")}`;

/** A byte as text: "." for what cannot be printed. */
function letter(byte) {
  const code = byte === null ? 0 : parseInt(byte, 16);
  return code > 32 && code < 127 ? String.fromCharCode(code) : "·";
}
