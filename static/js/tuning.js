// "What does each of them get?": weight, cap and memory of every VM by slider or number, and beside them the share of the
// pCPUs that each had in the last milliseconds. One action when the handle rests; taking back restores what an action
// says that there was. Data: state.vms, state.host, lab.slices; actions set_vm, set_balloon (-> result.was).
import { announce } from "./announcer.js";
import { ask, Refused, showMessage } from "./ask.js";
import { h, setAttribute, setText } from "./element.js";
import { badge } from "./frame_readout.js";
import * as numbers from "./numbers.js";
import { vmClass } from "./patterns.js";
import { _ } from "./text.js";

const REST_MS = 150;
const DRAW_MS = 200;
const WINDOW_S = 0.02;
const BUCKETS = 40;
const OCTAVE = 8; // steps of the weight's slider from one power of two to the next
const WEIGHT_MOST = 65535;
const PAGE_KIB = 4;
const KEPT = 100;
const OFF = "shut off";
const SVG = "http://www.w3.org/2000/svg";

/** @param {import("./lab.js").Lab} lab */
export function startTuning(lab) {
  const panel = document.getElementById("panel-config");
  const tool = new Tuning(lab, document.getElementById("tuning-vms"));
  let timer = 0;
  const soon = () => {
    if (panel.hidden) return;
    timer ||= setTimeout(() => {
      timer = 0;
      if (!panel.hidden) tool.draw();
    }, DRAW_MS);
  };
  lab.on("state", soon);
  panel.addEventListener("shown", () => tool.draw());
}

class Tuning {
  constructor(lab, place) {
    this.lab = lab;
    this.place = place;
    /** @type {Map<string, Row>} */
    this.rows = new Map();
    /** @type {{action: any, text: string}[]} what would take the changes back, newest last */
    this.done = [];
    this.back = document.getElementById("tuning-back");
    this.back.addEventListener("click", () => this.takeBack());
  }

  draw() {
    const { vms, host } = this.lab.state ?? {};
    if (!vms) return;
    for (const [name, row] of this.rows)
      if (!vms.some((vm) => vm.name === name)) (row.element.remove(), this.rows.delete(name));
    const times = shares(this.lab, host);
    for (const vm of vms) {
      if (!this.rows.has(vm.name)) {
        const row = new Row(vm, (key, value, silent) => this.change(vm.name, key, value, silent));
        this.rows.set(vm.name, row);
        this.place.append(row.element);
      }
      this.rows.get(vm.name).show(vm, host, times);
    }
  }

  /** Carry out what a handle that rests asks for. */
  async change(name, key, value) {
    const vm = this.lab.vm(name);
    if (!vm) return;
    const action = actionOf(vm, key, value);
    const was = await this.act(action);
    if (was) {
      this.done.push({ action: { ...action, ...was }, text: _("{key} of VM {vm}", { key: NAMES[key], vm: name }) });
      if (this.done.length > KEPT) this.done.shift();
    }
    this.showBack();
  }

  async takeBack() {
    const last = this.done.pop();
    if (last && (await this.act(last.action))) announce("tuning", _("Taken back: {what}", { what: last.text }));
    this.showBack();
  }

  showBack() {
    const last = this.done.at(-1);
    this.back.disabled = !last;
    setText(this.back, last ? _("Take back {what}", { what: last.text }) : _("Take back"));
  }

  /** Return what there was before, null if the lab refused. */
  async act(action) {
    try {
      const answer = await ask(`${this.lab.url}/actions`, action);
      this.lab.takeState(answer.state);
      this.rows.get(action.vm)?.changed(newest(this.lab.state.host));
      return answer.result.was;
    } catch (failure) {
      if (!(failure instanceof Refused)) throw failure;
      showMessage(failure.error);
      return null;
    } finally {
      for (const row of this.rows.values()) row.settle();
      this.draw();
    }
  }
}

const NAMES = { weight: _("Weight"), cap: _("Cap"), memory: _("Memory") };

/** A VM that is on and has a balloon is asked for memory; otherwise its size is changed. */
function actionOf(vm, key, value) {
  if (key !== "memory") return { verb: "set_vm", vm: vm.name, [key]: value };
  if (vm.state !== OFF && vm.memory.has_balloon)
    return { verb: "set_balloon", vm: vm.name, target: `${Math.max(0, vm.memory_bytes / 1024 - value)} KiB` };
  return { verb: "set_vm", vm: vm.name, memory: `${value} KiB` };
}

const SCALES = {
  weight: { to: (weight) => Math.round(OCTAVE * Math.log2(weight)), from: (at) => Math.min(WEIGHT_MOST, Math.round(2 ** (at / OCTAVE))) },
  cap: { to: (cap) => cap, from: (at) => at },
  memory: { to: (kib) => kib, from: (at) => at },
};
const SAID = {
  weight: (value) => String(value),
  cap: (value) => (value ? `${value} %` : _("none")),
  memory: (value) => numbers.size(value * 1024),
};

class Row {
  constructor(vm, change) {
    this.change = change;
    this.controls = { weight: this.control(vm, "weight"), cap: this.control(vm, "cap"), memory: this.control(vm, "memory") };
    this.mark = 0;
    this.bar = h("span", { class: "tuning-bar" });
    this.said = h("span", { class: "tuning-said" });
    this.plot = document.createElementNS(SVG, "svg");
    for (const [name, value] of Object.entries({ viewBox: `0 0 ${BUCKETS} 20`, preserveAspectRatio: "none", role: "img" }))
      this.plot.setAttribute(name, value);
    this.area = this.plot.appendChild(document.createElementNS(SVG, "path"));
    this.line = this.plot.appendChild(document.createElementNS(SVG, "path"));
    this.line.setAttribute("class", "when");
    this.element = h(
      "li",
      { class: `tuning-row vm-${vmClass(vm.index)}` },
      h("b", { class: "tuning-vm" }, badge(vm.index), ` ${vm.name}`),
      ...Object.values(this.controls).map(({ element }) => element),
      h("div", { class: "tuning-share" }, h("div", { class: "tuning-track" }, this.bar), this.plot, this.said),
    );
  }

  control(vm, key) {
    const name = _("{key} of VM {vm}", { key: NAMES[key], vm: vm.name });
    const slider = h("input", { type: "range", "aria-label": name });
    const field = h("input", { type: "number", "aria-label": _("{name}, as a number", { name }), min: 0 });
    const unit = { cap: "%", memory: "KiB" }[key];
    const said = h("span", { class: "quiet" }, NAMES[key]);
    const element = h("div", { class: "tuning-control" }, said, slider, field, unit ? h("span", { class: "quiet" }, unit) : null);
    const control = { key, slider, field, element, timer: 0 };
    slider.addEventListener("input", () => this.moved(control, SCALES[key].from(Number(slider.value))));
    field.addEventListener("input", () => field.value !== "" && field.checkValidity() && this.moved(control, Number(field.value)));
    return control;
  }

  /** A handle or number has changed: the other follows at once, the lab when it rests. */
  moved(control, value) {
    put(control, value);
    clearTimeout(control.timer);
    control.timer = setTimeout(() => this.change(control.key, value), REST_MS);
  }

  /** What was asked for is done, or refused. */
  settle() {
    for (const control of Object.values(this.controls)) control.timer = 0;
  }

  changed(cycles) {
    this.mark = cycles;
  }

  show(vm, host, times) {
    const most = host.memory_bytes / 1024;
    const balloon = vm.state !== OFF && vm.memory.has_balloon;
    const [whole, given] = [vm.memory_bytes / 1024, (vm.memory.balloon_target * 4096) / 1024];
    this.limit("weight", OCTAVE * 16, 1, WEIGHT_MOST, vm.weight);
    this.limit("cap", 100 * vm.vcpus.length, 5, 800, vm.cap);
    this.limit("memory", balloon ? whole : most, balloon ? PAGE_KIB : 64, balloon ? whole : most, balloon ? whole - given : whole);
    const mine = times.by.get(vm.name) ?? new Float64Array(BUCKETS);
    const share = times.length ? mine.reduce((sum, one) => sum + one, 0) / times.length : 0;
    this.bar.style.inlineSize = `${100 * share}%`;
    setText(this.said, _("{share} of the last {time}", { share: numbers.percent(share, 1), time: numbers.time(times.ns) }));
    this.drawPlot(mine, times);
  }

  limit(key, most, step, numberMost, value) {
    const control = this.controls[key];
    setAttribute(control.slider, "max", most);
    setAttribute(control.slider, "step", step);
    setAttribute(control.field, "max", numberMost);
    setAttribute(control.field, "step", key === "memory" ? PAGE_KIB : 1);
    if (!control.timer && document.activeElement !== control.field) put(control, value);
  }

  drawPlot(mine, { per, from, cycles }) {
    const heights = [...mine].map((one) => 20 - 20 * Math.min(1, per ? one / per : 0));
    this.area.setAttribute("d", `M0 20${heights.map((y, at) => `L${at} ${y.toFixed(1)}L${at + 1} ${y.toFixed(1)}`).join("")}L${BUCKETS} 20Z`);
    const at = ((this.mark - from) / cycles) * BUCKETS;
    this.line.setAttribute("d", this.mark && at >= 0 && at <= BUCKETS ? `M${at} 0V20` : "");
    setAttribute(this.plot, "aria-label", this.said.textContent);
  }
}

function put({ key, slider, field }, value) {
  const at = String(SCALES[key].to(value));
  if (slider.value !== at) slider.value = at;
  if (document.activeElement !== field && field.value !== String(value)) field.value = value;
  setAttribute(slider, "aria-valuetext", SAID[key](value));
}

const newest = (host) => Math.max(...host.pcpus.map((pcpu) => pcpu.clock_cycles));

/** Who had the pCPUs in the last milliseconds: cycles in each bucket, for their guests and for the work for them. */
function shares(lab, host) {
  const to = newest(host);
  const cycles = Math.min(to, Math.round(WINDOW_S * host.clock_hz)) || 1;
  const from = to - cycles;
  const width = cycles / BUCKETS;
  const by = new Map();
  for (const slice of lab.slices.values()) {
    if (slice.vm === null || slice.kind === "idle" || slice.end_cycles <= from) continue;
    if (!by.has(slice.vm)) by.set(slice.vm, new Float64Array(BUCKETS));
    const mine = by.get(slice.vm);
    const begin = Math.max(slice.start_cycles, from);
    const end = Math.min(slice.end_cycles, to);
    for (let at = Math.floor((begin - from) / width); at < BUCKETS && from + at * width < end; at++)
      mine[at] += Math.min(end, from + (at + 1) * width) - Math.max(begin, from + at * width);
  }
  const pcpus = host.pcpus.length;
  return { by, from, cycles, length: cycles * pcpus, per: width * pcpus, ns: numbers.nanoseconds(cycles, host.clock_hz) };
}
