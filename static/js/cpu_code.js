// The code around a vCPU's pc: instructions with their source lines, the pc marked, breakpoints in the margin.
// Data: CodeView (emulator/lab/cpu_view.py), and the breakpoints among run.stops.
import { h } from "./element.js";
import * as numbers from "./numbers.js";
import { _ } from "./text.js";

const same = (a, b) => BigInt(a) === BigInt(b);

/** The breakpoint of a VM at an address, among the stops of a lab. */
export const breakpointAt = (stops, vm, address) =>
  (stops ?? []).find(
    ({ condition }) =>
      condition.kind === "breakpoint" && condition.vm === vm && same(condition.address, address),
  );

export class Code {
  /** @param {HTMLElement} body @param {(address: string) => void} toggle sets or removes a breakpoint */
  constructor(body, toggle) {
    this.body = body;
    this.cursor = "";
    this.key = "";
    body.addEventListener("click", (event) => {
      const row = event.target.closest("tr[data-address]");
      if (!row) return;
      this.choose(row);
      if (event.target.closest("button")) toggle(row.dataset.address);
    });
  }

  /** The first address that is shown. */
  get first() {
    return this.body.querySelector("tr[data-address]")?.dataset.address ?? "";
  }

  draw(code, run, whose) {
    const key = JSON.stringify(code);
    if (key !== this.key) {
      this.key = key;
      const focused = this.body.contains(document.activeElement);
      this.body.replaceChildren(...code.lines.flatMap((line, i) => rows(line, code, code.lines[i - 1])));
      const lines = [...this.body.querySelectorAll("tr[data-address]")];
      const row = lines.find((one) => one.hasAttribute("aria-current")) ?? lines[0];
      if (row) this.choose(row, focused);
    }
    this.drawStops(run, whose);
  }

  /** Mark the margin where breakpoints are. */
  drawStops(run, { vm }) {
    for (const row of this.body.querySelectorAll("tr[data-address]")) {
      const stop = breakpointAt(run?.stops, vm, row.dataset.address);
      const button = row.querySelector("button");
      button.setAttribute("aria-pressed", String(Boolean(stop)));
      row.classList.toggle("stop-off", Boolean(stop && !stop.enabled));
    }
  }

  /** Move the cursor for an arrow key; return whether it was one. @param {KeyboardEvent} event */
  move(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || !event.target.closest("tbody") || !this.body.contains(event.target)) return false;
    const lines = [...this.body.querySelectorAll("tr[data-address]")];
    const at = lines.findIndex((row) => row.dataset.address === this.cursor);
    const next = lines[at + step];
    event.preventDefault();
    if (next) this.choose(next, true);
    return true;
  }

  choose(row, focus = false) {
    for (const other of this.body.querySelectorAll("tr[data-address]")) {
      other.classList.toggle("cursor", other === row);
      other.querySelector("button").tabIndex = other === row ? 0 : -1;
    }
    this.cursor = row.dataset.address;
    if (focus) row.querySelector("button").focus({ preventScroll: false });
  }
}

/** An instruction with the name of its target instead of the address, where it has one. */
const named = (text) => text.replace(/0x[0-9a-f]+ <([^>]+)>/, "$1");

/** The number of a source line, its text, and its comment, which has less room. */
function sourceOf(line, source) {
  if (!source) return [];
  const [text, comment] = [source.replace(/\s+(#\s|\/\/).*$/, ""), source.match(/\s+((#\s|\/\/).*)$/)?.[1]];
  return [h("span", { class: "quiet" }, `${line.line} `), text, comment ? h("span", { class: "quiet comment" }, `  ${comment}`) : null];
}

function rows(line, code, before) {
  const here = same(line.address, code.pc);
  const shown = numbers.address(line.address);
  const label = line.label
    ? [h("tr", { class: "label" }, h("td", {}), h("th", { colspan: 3, scope: "rowgroup" }, `${line.label}:`))]
    : [];
  const source = line.line && line.line !== before?.line ? line.source : "";
  return [
    ...label,
    h(
      "tr",
      { dataset: { address: line.address }, "aria-current": here ? "true" : null },
      h(
        "td",
        { class: "margin" },
        h("button", { type: "button", "aria-pressed": "false", "aria-label": _("Breakpoint at {address}", { address: shown }) }),
        here ? h("span", { class: "pc" }, h("span", { "aria-hidden": "true" }, "▶"), h("span", { class: "unseen" }, "pc")) : null,
      ),
      h("td", { class: "mono address" }, shown),
      h("td", { class: "mono instruction", title: `${line.text.replace(/\s+/g, " ")}   ${line.code}` }, named(line.text)),
      h("td", { class: "mono source", title: source || null }, ...sourceOf(line, source)),
    ),
  ];
}
