// A vCPU's registers, with marks on those that changed since it last stood still, and the memory that one of them points to.
// Data: CpuView.registers; GET memory?vm=&vcpu=&space=gva&address=&length=.
import { look } from "./ask.js";
import { h, setText } from "./element.js";
import * as selection from "./selection.js";
import { words } from "./sentences.js";
import { _ } from "./text.js";

const ROW = 8;
const ROWS = 8;
const ADDRESSES = 1n << 64n;

export class Registers {
  /** @param {import("./lab.js").Lab} lab @param {{whose: {vm: string, vcpu: number}}} view */
  constructor(lab, view) {
    this.lab = lab;
    this.view = view;
    this.stands = new Map(); // "vm vcpu" -> {position, values, before}: what was shown at the last two stops
    this.chosen = "sp";
    this.decimal = false;
    this.data = null;
    const base = document.getElementById("registers-base");
    base.addEventListener("click", () => {
      this.decimal = !this.decimal;
      base.setAttribute("aria-pressed", String(this.decimal));
      if (this.data) this.fill();
    });
    for (const id of ["registers-general", "registers-floating"])
      document.getElementById(id).addEventListener("click", (event) => {
        const button = event.target.closest("[data-register]");
        if (button) this.choose(button.dataset.register);
      });
    document.getElementById("strip-open").addEventListener("click", () => this.select("panel-ram"));
  }

  draw(data, stopped) {
    this.data = data;
    const { registers } = data;
    if (stopped) this.remember(registers);
    this.fill();
    this.fetchStrip();
  }

  remember(registers) {
    const key = `${registers.vm} ${registers.vcpu}`;
    const known = this.stands.get(key);
    if (known?.position === registers.position) return;
    const all = ["general", "floating", "control", "hypervisor"].flatMap((group) => registers[group]);
    const values = new Map(all.map(({ name, value }) => [name, value]));
    this.stands.set(key, { position: registers.position, values, before: known?.values ?? values });
  }

  /** What the registers were when their vCPU last stood still somewhere else. */
  before(registers) {
    const known = this.stands.get(`${registers.vm} ${registers.vcpu}`);
    if (!known) return new Map();
    return known.position === registers.position ? known.before : known.values;
  }

  fill() {
    const { registers } = this.data;
    const before = this.before(registers);
    const made = (register) => this.register(register, before.get(register.name) ?? register.value);
    fillIn("registers-general", registers.general.map(made));
    fillIn("registers-floating", registers.floating.map(made));
    document.getElementById("registers-floating-part").hidden = registers.floating.length === 0;
  }

  register({ name, alias, value, meaning }, before) {
    const changed = value !== before;
    return h(
      "button",
      {
        type: "button",
        class: changed ? "register changed" : "register",
        dataset: { register: name },
        "aria-pressed": String(name === this.chosen),
        title: changed ? _("was {value}", { value: before }) : meaning || null,
      },
      h("span", { class: "name" }, name, alias ? h("span", { class: "quiet" }, ` ${alias}`) : null),
      h("span", { class: "mono value" }, this.decimal ? BigInt.asIntN(64, BigInt(value)).toString() : short(value)),
      changed ? h("span", { class: "mark" }, h("span", { "aria-hidden": "true" }, "●"), h("span", { class: "unseen" }, _("changed"))) : null,
    );
  }

  choose(name) {
    this.chosen = name;
    this.fill();
    document.querySelector(`[data-register="${name}"]`)?.focus();
    this.fetchStrip();
    this.select();
  }

  /** Tell the page what the chosen register points to. */
  select(panel = "") {
    const { vm, vcpu } = this.view.whose;
    selection.choose({ vm, vcpu, space: "gva", address: this.pointer() }, { from: this.view, panel });
  }

  pointer() {
    const { registers } = this.data;
    const all = [...registers.general, ...registers.floating];
    return (all.find(({ name }) => name === this.chosen) ?? registers.general[2]).value;
  }

  async fetchStrip() {
    const { vm, vcpu } = this.view.whose;
    const pointer = BigInt(this.pointer());
    let start = pointer - (pointer % BigInt(ROW)) - BigInt(ROW);
    if (start < 0n) start = 0n;
    const length = Math.min(ROW * ROWS, Number(ADDRESSES - start));
    setText(document.getElementById("strip-title"), _("Memory at {register}", { register: this.chosen }));
    const query = new URLSearchParams({ vm, vcpu, space: "gva", address: `0x${start.toString(16)}`, length });
    const memory = await look(`${this.lab.url}/memory?${query}`);
    if (memory) document.getElementById("strip").replaceChildren(...memory.pages.flatMap((page) => lines(page, pointer)));
  }
}

/** Replace what is in a place, but only if it differs, so that the focus stays. */
function fillIn(id, buttons) {
  const place = document.getElementById(id);
  const html = buttons.map((one) => one.outerHTML).join("");
  if (place.dataset.key === html) return;
  place.dataset.key = html;
  const focused = place.contains(document.activeElement) ? document.activeElement.dataset.register : "";
  place.replaceChildren(...buttons);
  if (focused) place.querySelector(`[data-register="${focused}"]`)?.focus();
}

const short = (value) => `0x${BigInt(value).toString(16)}`;

function lines(page, pointer) {
  const start = BigInt(page.address);
  if (page.data === null) {
    const why = _("not mapped: {reason}", { reason: words(page.reason) });
    return [`${hex(start)}  ${why}\n`];
  }
  const bytes = page.data.match(/../g) ?? [];
  const made = [];
  for (let at = 0; at < bytes.length; at += ROW) made.push(...line(start + BigInt(at), bytes.slice(at, at + ROW), pointer));
  return made;
}

function line(address, bytes, pointer) {
  const cells = bytes.flatMap((byte, i) => {
    const gap = i ? " " : "";
    return address + BigInt(i) === pointer ? [gap, h("mark", {}, byte)] : [gap + byte];
  });
  const text = bytes.map((byte) => parseInt(byte, 16)).map((n) => (n >= 32 && n < 127 ? String.fromCharCode(n) : "·"));
  return [`${hex(address)}  `, ...cells, `  ${text.join("")}\n`];
}

const hex = (address) => address.toString(16).padStart(8, "0");
