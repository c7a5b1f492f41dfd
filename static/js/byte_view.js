// "Where is this byte?": choose a byte by its address in any space, see it among its neighbours, the walks of both tables
// that lead to it, what the TLB knows, and everyone who maps its frame.
// Data: GET memory (MemoryView), where and frame as fragments and where as JSON; state.vms[].
import { Refused, fetchJson } from "./ask.js";
import { h, setText } from "./element.js";
import { HexView, LENGTH, hex, windowFor } from "./hex_view.js";
import * as numbers from "./numbers.js";
import * as selection from "./selection.js";
import { _ } from "./text.js";
import { reach } from "./transport.js";
import { WALKS, pressAgain, pressed, startWalks, tidy } from "./walk_view.js";

const OFF = ["shut off"];
const EVERY_MS = 900;
const RAM_BASE = 0x80000000n;
const REGISTERS = "pc sp ra gp tp s0 s1 a0 a1 a2 a3 t0 t1 t2 sepc stvec stval".split(" ");
const element = (id) => document.getElementById(id);

/** @param {import("./lab.js").Lab} lab */
export function startByteView(lab) {
  const view = new ByteView(lab);
  lab.on("state", () => view.refresh());
  lab.on("connection", () => view.refresh());
  element("panel-ram").addEventListener("shown", () => view.refresh(true));
  selection.on((what, from) => from !== view && from !== WALKS && view.follow(what));
  startWalks(lab.url);
  view.follow(selection.current());
  view.refresh(true);
}

class ByteView {
  constructor(lab) {
    this.lab = lab;
    this.form = element("byte-form");
    this.hex = new HexView(element("byte-hex"), (address) => this.choose(address));
    this.shown = "";
    this.timer = 0;
    this.asked = null;
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.look(true);
    });
    for (const id of ["byte-vm", "byte-vcpu", "byte-space", "byte-access"])
      element(id).addEventListener("change", () => {
        this.fillVcpus();
        this.look(true);
      });
    element("byte-where").addEventListener("click", (event) => this.jump(event));
    element("byte-frame").addEventListener("click", (event) => this.jump(event));
  }

  get visible() {
    return !element("panel-ram").hidden && !document.hidden;
  }

  /** A byte was chosen in the grid. */
  choose(address) {
    element("byte-address").value = hex(address, 8);
    this.look(true);
  }

  /** Something was chosen in another picture. */
  follow({ vm, vcpu, space, address, hfn }) {
    if (address !== undefined && space) this.set({ vm, vcpu, space, address });
    else if (hfn !== undefined && hfn !== null)
      this.set({ space: "hpa", address: hex(RAM_BASE + BigInt(hfn) * 4096n, 8) });
    else return;
    if (this.visible) this.look();
  }

  set({ vm, vcpu, space, address }) {
    this.fillVms();
    const names = [...element("byte-vm").options].map((option) => option.value);
    if (vm && names.includes(vm)) element("byte-vm").value = vm;
    this.fillVcpus();
    if (vcpu !== undefined && vcpu !== null) element("byte-vcpu").value = String(vcpu);
    element("byte-space").value = space;
    element("byte-address").value = address;
  }

  /** A link inside an answer: the same byte in another space, or another GVA that leads to it. */
  jump(event) {
    const link = event.target.closest("[data-space][data-address]");
    if (!link) return;
    this.set({ ...link.dataset, vcpu: link.dataset.vcpu });
    this.look(true);
    this.form.scrollIntoView({ block: "nearest" });
  }

  fillVms() {
    const on = (this.lab.state?.vms ?? []).filter((vm) => !OFF.includes(vm.state));
    fill(element("byte-vm"), on.map((vm) => vm.name));
    element("no-byte").hidden = on.length > 0;
  }

  fillVcpus() {
    const vm = this.lab.vm(element("byte-vm").value);
    fill(element("byte-vcpu"), (vm?.vcpus ?? [{ index: 0 }]).map((vcpu) => String(vcpu.index)));
    fill(element("byte-names"), REGISTERS);
  }

  /** The lab has moved: look again, soon. */
  refresh(now = false) {
    if (!this.visible) return;
    this.fillVms();
    this.fillVcpus();
    if (now) {
      this.look();
      return;
    }
    if (this.shown === this.key() || this.timer) return;
    this.timer = setTimeout(() => {
      this.timer = 0;
      if (this.visible) this.look();
    }, EVERY_MS);
  }

  key() {
    const { position, cursor } = this.lab.state ?? {};
    return JSON.stringify([position, cursor, ...new FormData(this.form).values()]);
  }

  /** Ask for everything about the byte that the form names. */
  async look(chosen = false) {
    this.asked?.abort();
    const asked = (this.asked = new AbortController());
    this.shown = this.key();
    const fields = Object.fromEntries(new FormData(this.form));
    if (!fields.vm && fields.space !== "hpa") {
      element("byte-parts").hidden = true;
      return;
    }
    if (fields.space === "hpa") delete fields.vm;
    const query = new URLSearchParams({ vcpu: "0", ...fields });
    try {
      const where = await fetchJson(`${this.lab.url}/where?${query}`);
      const [text, memory, frame] = await Promise.all([
        this.fragment(`where?${query}`, asked.signal),
        this.memory(where, fields),
        where.hfn === null ? null : this.fragment(`frame?hfn=${where.hfn}`, asked.signal),
      ]);
      if (asked.signal.aborted) return;
      this.draw(where, text, memory, frame);
      element("byte-wrong").replaceChildren();
      if (chosen) this.tell(where);
    } catch (failure) {
      if (asked.signal.aborted || failure?.name === "AbortError") return;
      if (!(failure instanceof Refused)) throw failure;
      element("byte-wrong").replaceChildren(
        h("p", { class: "wrong" }, failure.error.message, " ", failure.error.remedy ?? ""),
      );
    }
  }

  async memory(where, fields) {
    const address = BigInt(where.address);
    const start = windowFor(address, this.space === fields.space ? this.hex.start : null);
    this.space = fields.space;
    const query = new URLSearchParams({ vcpu: "0", ...fields, address: hex(start), length: String(LENGTH) });
    return fetchJson(`${this.lab.url}/memory?${query}`);
  }

  async fragment(path, signal) {
    const response = await reach(`${this.lab.url}/${path}`, { headers: { "HX-Request": "true" }, signal });
    return response.ok ? response.text() : "";
  }

  draw(where, text, memory, frame) {
    element("byte-parts").hidden = false;
    this.hex.show(memory, BigInt(where.address));
    put(element("byte-where"), text);
    put(element("byte-frame"), frame ?? "");
    const value = this.hex.bytes[Number(BigInt(where.address) - this.hex.start)] ?? null;
    const place = `${where.space.toUpperCase()} ${numbers.address(where.address)}`;
    const named = where.name ? `${place} (${where.name})` : place;
    const said =
      value === null
        ? `${place}: ${this.hex.reasons[0] ?? _("not mapped")}`
        : _("{place} holds {value}", { place: named, value: `0x${value}` });
    setText(element("byte-readout"), said);
  }

  /** Let every picture show what was chosen here. */
  tell({ vm, vcpu, space, address, hfn }) {
    selection.choose({ ...(vm === null ? {} : { vm, vcpu }), space, address, ...(hfn === null ? {} : { hfn }) }, { from: this });
  }
}

/** Put a fragment in place, if it says anything else; what was open or pressed stays so. */
function put(place, text) {
  if (place.dataset.text === text) return;
  place.dataset.text = text;
  const before = pressed(place);
  const table = place.querySelector(".table-page:not([hidden])");
  const page = new DOMParser().parseFromString(text, "text/html");
  place.replaceChildren(...page.body.childNodes);
  tidy(place);
  pressAgain(place, before);
  if (table) place.querySelector(".table-page")?.replaceWith(table);
}

/** Fill a select or datalist with names, keeping what is chosen. */
function fill(list, names) {
  if ([...list.children].map((option) => option.value).join() === names.join()) return;
  const chosen = list.value;
  list.replaceChildren(...names.map((name) => h("option", { value: name }, list.tagName === "SELECT" ? name : "")));
  if (names.includes(chosen)) list.value = chosen;
}
