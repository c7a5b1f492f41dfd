// "What is true of each page?": the map of the host's frames or of a VM's pages, by one layer at a time, with a cursor, a
// zoom down to single squares, and a table. Data: layers.js; the owners of the stream (lab.owners, lab.legend);
// GET frame?hfn= and GET memory?space=gpa for what the cursor is on. What is clicked is chosen for the whole page.
import { look } from "./ask.js";
import { h, setAttribute, setText, soon, typeScale } from "./element.js";
import { movedBy, runsFrom, tally } from "./frame_layout.js";
import { FrameMap } from "./frame_map.js";
import { LAYERS, Layer, meaning, noteOf } from "./layers.js";
import * as numbers from "./numbers.js";
import { ownersOf } from "./owner_paints.js";
import { onTheme } from "./patterns.js";
import * as selection from "./selection.js";
import { words } from "./sentences.js";
import { _, n_ } from "./text.js";

const EVERY_MS = 500;
const REST_MS = 140;
const MOST_ROWS = 200;
const ALL = 4096; // a table of so many pages begins with the first
const RAM_BASE = 0x80000000;
const PAGE = 4096;
const OF_HOST = ["owner", "sharing", "dirty", "balloon", "swap", "age", "permissions", "heat"];
const OF_VM = ["backing", "sharing", "dirty", "balloon", "swap", "age", "permissions", "heat"];

const element = (name) => document.getElementById(`memory-map${name && "-"}${name}`);

export class MemoryMap {
  /** @param {import("./lab.js").Lab} lab @param {HTMLElement} panel the view that it is in */
  constructor(lab, panel) {
    this.lab = lab;
    this.panel = panel;
    this.canvas = element("");
    this.space = element("space");
    this.choice = element("layer");
    this.owners = ownerSource(lab);
    this.source = this.owners;
    this.map = new FrameMap(this.canvas, this.source, { tall: (box) => Math.max(224, Math.min(420 * typeScale(), box * 0.5)) });
    this.held = false;
    this.asking = false;
    this.details = null;
    this.refreshSoon = soon(EVERY_MS, () => this.refresh());
    this.tableSoon = soon(EVERY_MS, () => this.fillTable());
    this.listen();
    this.fillSpaces();
    this.fillLayers();
    this.show();
  }

  listen() {
    const { canvas, map } = this;
    this.space.addEventListener("change", () => (this.fillLayers(), this.show()));
    this.choice.addEventListener("change", () => this.show());
    element("wider").addEventListener("click", () => this.zoom(0.5));
    element("closer").addEventListener("click", () => this.zoom(2));
    canvas.addEventListener("pointermove", (event) => this.held || this.point(map.at(event.offsetX, event.offsetY)));
    canvas.addEventListener("pointerleave", () => this.held || document.activeElement === canvas || this.point(null));
    canvas.addEventListener("click", (event) => {
      const index = map.at(event.offsetX, event.offsetY);
      this.held = index !== null && !(this.held && index === map.cursor);
      this.point(index);
      if (this.held) this.choose();
    });
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("focus", () => map.cursor === null && this.point(map.first));
    canvas.addEventListener("blur", () => this.held || this.point(null));
    this.panel.addEventListener("shown", () => (this.source === this.owners ? this.painted(null) : this.refreshSoon()));
    element("twin").addEventListener("toggle", () => this.fillTable());
    this.lab.on("state", () => (this.fillSpaces(), this.refreshSoon()));
    this.lab.on("frames", (changed) => this.source === this.owners && this.painted(changed));
    selection.on((chosen, from) => from !== this && this.takeChosen(chosen));
    new ResizeObserver(() => map.repaint()).observe(canvas.parentElement);
    onTheme(() => (map.repaint(), this.drawLegend()));
  }

  get seen() {
    return !this.panel.hidden && !document.hidden;
  }

  // What is shown

  fillSpaces() {
    const names = (this.lab.state?.vms ?? []).map((vm) => vm.name);
    if (names.join(" ") === this.space.dataset.names) return;
    this.space.dataset.names = names.join(" ");
    const before = this.space.value;
    this.space.replaceChildren(
      h("option", { value: "" }, _("the host")),
      ...names.map((name) => h("option", { value: name }, _("VM {vm}", { vm: name }))),
    );
    this.space.value = names.includes(before) ? before : "";
    if (this.space.value !== before) this.show();
  }

  fillLayers() {
    const before = this.choice.value;
    const names = this.space.value ? OF_VM : OF_HOST;
    this.choice.replaceChildren(...names.map((name) => h("option", { value: name }, LAYERS[name])));
    this.choice.value = names.includes(before) ? before : names[0];
  }

  show() {
    const [name, vm] = [this.choice.value, this.space.value];
    if (vm !== this.source.vm) this.map.zoom = 1;
    this.source = name === "owner" ? this.owners : new Layer(this.lab, name, vm);
    this.map.source = this.source;
    this.map.cursor = this.map.chosen = null;
    this.held = false;
    this.takeChosen(selection.current());
    setText(
      element("caption"),
      vm ? _("1 square = 1 page = 4 KiB of VM {vm}, in order of GPA", { vm }) : _("1 square = 1 frame = 4 KiB"),
    );
    setText(element("place"), vm ? _("Pages (GPA)") : _("Frames (HFN)"));
    if (this.source === this.owners) this.painted(null);
    else this.refresh();
  }

  /** Ask for the layer again if the lab has moved since, one request at a time. */
  async refresh() {
    const { source } = this;
    if (source === this.owners || this.asking || !this.seen) return;
    if (source.position === this.lab.state?.position && source.token) return;
    this.asking = true;
    const changed = await source.refresh();
    this.asking = false;
    if (source === this.source) this.painted(changed);
    else this.refreshSoon();
  }

  /** Draw what came. @param {number[][] | null} changed runs of squares; null: all */
  painted(changed) {
    if (!this.seen) {
      this.map.base = null;
      return;
    }
    if (changed === null) this.map.repaint();
    else this.map.mark(changed);
    setAttribute(this.canvas, "aria-valuemin", 0);
    setAttribute(this.canvas, "aria-valuemax", Math.max(0, this.source.codes.length - 1));
    this.drawLegend();
    if (this.map.cursor === null) this.describe(null);
    if (element("twin").open) this.tableSoon();
  }

  drawLegend() {
    const { legend, vm } = this.source;
    const note = this.source === this.owners ? "" : noteOf(this.source.answer);
    setText(element("note"), note);
    element("note").hidden = !note;
    const key = JSON.stringify([this.source.name, vm, legend.map(({ code, text }) => [code, text])]);
    const list = element("legend");
    if (list.dataset.key !== key) {
      list.dataset.key = key;
      list.replaceChildren(...legend.map((entry) => h("li", {}, swatch(), h("span"), h("b"))));
    }
    const paints = this.source.paints();
    for (const [i, item] of [...list.children].entries()) {
      const { code, count } = legend[i];
      setText(item.children[1], this.words(code));
      setText(item.children[2], numbers.size(count * PAGE));
      item.title = n_("{count} page", "{count} pages", count);
      paintSwatch(item.firstChild, paints[code]);
    }
  }

  words(code) {
    if (this.source === this.owners) return this.owners.words(code);
    const entry = this.source.legend.find((one) => one.code === code);
    return entry ? meaning(entry.key, this.source.vm) : "";
  }

  // The cursor

  point(index) {
    if (index === this.map.cursor) return;
    this.map.cursor = index;
    if (index !== null) this.map.scrollTo(index);
    this.map.ask();
    this.describe(index);
    if (element("twin").open) this.tableSoon();
  }

  zoom(factor) {
    this.map.zoomBy(factor, this.map.cursor ?? this.map.chosen);
  }

  wheel(event) {
    if (!event.ctrlKey) return;
    event.preventDefault();
    this.map.zoomBy(event.deltaY > 0 ? 0.8 : 1.25, this.map.at(event.offsetX, event.offsetY));
  }

  key(event) {
    const at = this.map.cursor ?? this.map.first;
    if (event.key === "Escape") this.held = false;
    const acts = { "+": () => this.zoom(2), "-": () => this.zoom(0.5), Enter: () => this.choose() };
    const to = movedBy(event.key, at, this.source.codes, this.map.shape, this.map.first);
    if (to === null && !acts[event.key]) return;
    event.preventDefault();
    if (to === null) acts[event.key]();
    else this.point(to);
  }

  /** Choose what the cursor is on, for the whole page. */
  choose() {
    const { cursor } = this.map;
    if (cursor === null || !this.source.codes.length) return;
    const address = numbers.address(RAM_BASE + cursor * PAGE);
    this.map.chosen = cursor;
    this.map.ask();
    const { vm } = this.source;
    selection.choose(vm ? { vm, vcpu: 0, space: "gpa", address } : { space: "hpa", address, hfn: cursor }, { from: this });
  }

  takeChosen({ vm, space, address, hfn }) {
    let index = null;
    if (!this.source.vm && hfn !== undefined && hfn !== null) index = Number(hfn);
    else if (address && space === (this.source.vm ? "gpa" : "hpa") && (!this.source.vm || vm === this.source.vm))
      index = Math.floor((Number(address) - RAM_BASE) / PAGE);
    this.map.chosen = index !== null && index >= 0 && index < this.source.codes.length ? index : null;
    if (this.map.chosen !== null) this.map.scrollTo(this.map.chosen);
    this.map.ask();
  }

  describe(index) {
    this.details?.abort();
    const readout = element("readout");
    if (index === null) {
      const hint = _("Point at a square or use the arrow keys; plus and minus zoom; a click or Enter chooses it for the whole page.");
      readout.replaceChildren(h("span", { class: "quiet" }, hint));
      return;
    }
    const words = this.words(this.source.codes[index]);
    const name = this.name(index);
    readout.replaceChildren(h("b", {}, name), ` ${words}`, h("br"), h("span", { class: "quiet more-facts" }, "\u00a0"));
    setAttribute(this.canvas, "aria-valuenow", index);
    setAttribute(this.canvas, "aria-valuetext", `${name}: ${words}`);
    const asked = (this.details = new AbortController());
    setTimeout(() => asked.signal.aborted || this.fill(index, asked.signal), REST_MS);
  }

  name(index) {
    const address = numbers.address(RAM_BASE + index * PAGE);
    if (this.source.vm) return _("Page {gpa} of VM {vm}", { gpa: address, vm: this.source.vm });
    return _("Frame {hfn}", { hfn: numbers.frameNumber(index) });
  }

  async fill(index, signal) {
    const { vm } = this.source;
    const address = `0x${(RAM_BASE + index * PAGE).toString(16)}`;
    const said = vm
      ? behind(await look(`${this.lab.url}/memory?${new URLSearchParams({ vm, space: "gpa", address, length: "1" })}`, signal))
      : whose(await look(`${this.lab.url}/frame?hfn=${index}`, signal));
    const facts = element("readout").querySelector(".more-facts");
    if (said && facts && !signal.aborted) facts.textContent = said.join(" \u00b7 ");
  }

  fillTable() {
    if (!element("twin").open || !this.seen) return;
    const { codes } = this.source;
    const from = codes.length <= ALL ? 0 : (this.map.cursor ?? this.map.first);
    const found = codes.length ? runsFrom(codes, Math.min(from, codes.length - 1), MOST_ROWS) : [];
    const rows = found.map(([first, count, code]) =>
      h(
        "tr",
        {},
        h("td", { class: "mono" }, `${this.place(first)} \u2013 ${this.place(first + count - 1)}`),
        h("td", { class: "number" }, String(count)),
        h("td", { class: "number" }, numbers.size(count * PAGE)),
        h("td", {}, this.words(code)),
      ),
    );
    const left = codes.length - (found.length ? found.at(-1)[0] + found.at(-1)[1] : 0);
    if (left)
      rows.push(
        h("tr", {}, h("td", { colspan: 4 }, _("{count} more pages: the table begins at the cursor of the map.", { count: left }))),
      );
    element("table").replaceChildren(...rows);
  }

  place(index) {
    return this.source.vm ? numbers.address(RAM_BASE + index * PAGE) : numbers.frameNumber(index);
  }
}

/** The owners of the stream as a layer of the host. */
function ownerSource(lab) {
  const owners = ownersOf(lab);
  return {
    name: "owner",
    vm: "",
    get codes() {
      return lab.owners;
    },
    get legend() {
      const counts = tally(lab.owners);
      return [...lab.legend.values()].map(({ code }) => ({ code, count: counts[code] })).filter(({ count }) => count);
    },
    paints: owners.paints,
    label: owners.label,
    words(code) {
      const entry = lab.legend.get(code);
      if (!entry) return "";
      if (entry.owner !== "vm") return _(entry.owner);
      return entry.role === "guest RAM"
        ? _("RAM of VM {vm}", { vm: entry.vm })
        : _("G-stage table of VM {vm}", { vm: entry.vm });
    },
  };
}

/** What stands behind a page of a VM. @param {any} memory MemoryView */
function behind(memory) {
  const page = memory?.pages?.[0];
  if (!page) return null;
  if (page.hfn === null) return [words(page.reason)];
  return [_("behind it: frame {hfn}", { hfn: numbers.frameNumber(page.hfn) }), `HPA ${numbers.address(page.hpa)}`];
}

/** Whose a frame is. @param {any} frame FrameView */
function whose(frame) {
  if (!frame) return null;
  const said = [`HPA ${numbers.address(frame.hpa)}`];
  if (frame.vm) said.push(_("VM {vm}", { vm: frame.vm }));
  if (frame.gpa) said.push(`GPA ${numbers.address(frame.gpa)}`, _("permissions {rwx}", { rwx: frame.permissions }));
  for (const { vm, gpa } of (frame.sharers ?? []).slice(0, 4)) said.push(`${_("VM {vm}", { vm })}, GPA ${numbers.address(gpa)}`);
  return said;
}

const swatch = () => h("canvas", { width: 16, height: 16, "aria-hidden": "true" });

function paintSwatch(canvas, paint) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(16, 16);
  const words = new Uint32Array(image.data.buffer);
  for (let y = 0; y < 16; y++)
    for (let x = 0; x < 16; x++) words[y * 16 + x] = paint ? paint.word(x, y, 1, 0, 0, 16) : 0;
  context.putImageData(image, 0, 0);
}
