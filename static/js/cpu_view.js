// "What is it doing right now?": one vCPU, where it stands in its code, its registers and CSRs, and the stops of the lab.
// Data: GET cpu?vm=&vcpu=&at=&count= (emulator/lab/cpu_view.py: CpuView), state.vms, state.run. Asked for when the lab has
// moved: at once where it stands, once a second while it runs, never while the view is hidden.
import { announce } from "./announcer.js";
import { ask, clearMessage, look, Refused, showMessage } from "./ask.js";
import { Code } from "./cpu_code.js";
import { Csrs } from "./cpu_csrs.js";
import { Registers } from "./cpu_registers.js";
import { startStops } from "./cpu_stops.js";
import { h, setText } from "./element.js";
import { vmLetter } from "./patterns.js";
import * as selection from "./selection.js";
import { _ } from "./text.js";

const EVERY_MS = 1000;
const LINES = 24;
const OFF = new Set(["shut off"]);
const MOVING = new Set(["running", "until"]);

/** @param {import("./lab.js").Lab} lab @param {HTMLElement} panel */
export function openCpuView(lab, panel) {
  const view = new CpuView(lab, panel);
  lab.on("state", () => view.update());
  panel.addEventListener("shown", () => view.update());
  selection.on((what, from) => from !== view && what.vm && view.show(what.vm, what.vcpu ?? 0));
  view.update();
}

class CpuView {
  constructor(lab, panel) {
    this.lab = lab;
    this.panel = panel;
    this.vm = document.getElementById("cpu-vm");
    this.vcpu = document.getElementById("cpu-vcpu");
    this.at = "";
    this.shown = null;
    this.asked = "";
    this.askedAt = 0;
    this.code = new Code(document.getElementById("code-lines"), (address) => this.toggle(address));
    this.registers = new Registers(lab, this);
    this.csrs = new Csrs();
    this.stops = startStops(lab, this);
    for (const choice of [this.vm, this.vcpu]) choice.addEventListener("change", () => this.goTo(""));
    panel.querySelector(".cpu-steps").addEventListener("click", (event) => {
      const button = event.target.closest("[data-cpu]");
      if (button) this.act(button.dataset.cpu);
    });
    panel.addEventListener("keydown", (event) => this.press(event));
    panel.addEventListener("shown", () => this.leaveOff());
    this.wireCode();
    this.wireGdb();
  }

  wireGdb() {
    const command = document.getElementById("gdb-command");
    const close = document.getElementById("gdb-close");
    const send = async (fields) => {
      try {
        const answer = await ask(`${this.lab.url}/gdb`, fields);
        clearMessage();
        close.hidden = Boolean(answer.closed);
        command.replaceChildren(...(answer.closed ? [] : [h("code", {}, answer.command)]));
      } catch (failure) {
        if (!(failure instanceof Refused)) throw failure;
        showMessage(failure.error);
      }
    };
    document.getElementById("gdb-open").addEventListener("click", () => send({ vm: this.whose.vm }));
    close.addEventListener("click", () => send({ close: true }));
  }

  wireCode() {
    const form = document.getElementById("code-goto");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.goTo(form.elements.at.value.trim());
    });
    document.getElementById("code-earlier").addEventListener("click", () => this.page(-64n));
    document.getElementById("code-later").addEventListener("click", () => this.page(64n));
    document.getElementById("code-pc").addEventListener("click", () => this.goTo(""));
  }

  /** Whose code and registers are shown. */
  get whose() {
    return { vm: this.vm.value, vcpu: Number(this.vcpu.value || 0) };
  }

  /** Show another vCPU, chosen elsewhere on the page. */
  show(vm, vcpu) {
    if (!this.lab.vm(vm) || (this.vm.value === vm && Number(this.vcpu.value) === vcpu)) return;
    this.vm.value = vm;
    this.fillVcpus();
    this.vcpu.value = String(vcpu);
    this.goTo("");
  }

  /** Whoever comes to the view sees a VM that is on, if there is one. */
  leaveOff() {
    const chosen = this.lab.vm(this.vm.value);
    const on = this.lab.state?.vms?.find((vm) => !OFF.has(vm.state));
    if (on && (!chosen || OFF.has(chosen.state))) this.show(on.name, 0);
  }

  goTo(at) {
    this.at = at;
    document.getElementById("code-goto").elements.at.value = at;
    document.getElementById("code-pc").hidden = !at;
    this.update(true);
  }

  page(bytes) {
    const first = BigInt(this.code.first || "0");
    const next = first + bytes;
    this.goTo(`0x${(next < 0n ? 0n : next).toString(16)}`);
  }

  update(force = false) {
    if (this.panel.hidden || !this.lab.state?.vms) return;
    this.fillVms();
    this.stops.draw(this.lab.state.run);
    const vm = this.lab.vm(this.vm.value);
    const off = !vm || OFF.has(vm.state);
    document.getElementById("cpu-off").hidden = !off;
    document.getElementById("cpu").hidden = off;
    const moving = MOVING.has(this.lab.state.run?.mode);
    for (const button of this.panel.querySelectorAll("[data-cpu]"))
      button.disabled = off || (moving && button.dataset.cpu !== "break");
    if (off) setText(document.getElementById("cpu-where"), "");
    else this.fetch(force, moving);
  }

  async fetch(force, moving) {
    const { vm, vcpu } = this.whose;
    const key = [vm, vcpu, this.at, this.lab.state.position, this.lab.state.actions].join(" ");
    if (!force && key === this.asked) return;
    const wait = this.askedAt + EVERY_MS - performance.now();
    if (!force && moving && wait > 0) {
      this.timer ??= setTimeout(() => ((this.timer = null), this.update()), wait);
      return;
    }
    this.asked = key;
    this.askedAt = performance.now();
    this.abort?.abort();
    this.abort = new AbortController();
    const query = new URLSearchParams({ vm, vcpu, count: LINES, at: this.at });
    const data = await look(`${this.lab.url}/cpu?${query}`, this.abort.signal);
    if (data && this.asked === key) this.draw(data, moving);
  }

  draw(data, moving) {
    this.shown = data;
    const { registers, code } = data;
    const stopped = !moving;
    document.getElementById("cpu").classList.toggle("with-source", code.lines.some((line) => line.source));
    this.code.draw(code, this.lab.state.run, this.whose);
    document.getElementById("code-unnamed").hidden = code.named;
    this.registers.draw(data, stopped);
    this.csrs.draw(data, this.registers.before(registers));
    const instruction = registers.instruction || _("cannot be fetched");
    const where = code.where ? `${code.where}, ` : "";
    const text = _("{state}, {mode}-mode, pc {where}{pc}: {instruction}", {
      state: _(data.state),
      mode: registers.mode,
      where,
      pc: registers.pc.replace(/^0x0+(?=.{8})/, "0x"),
      instruction,
    });
    setText(document.getElementById("cpu-where"), text);
    if (stopped) announce("cpu", text);
  }

  fillVms() {
    const { vms } = this.lab.state;
    const names = vms.map((vm) => vm.name).join();
    if (this.names !== names) {
      this.names = names;
      const kept = this.vm.value;
      this.vm.replaceChildren(
        ...vms.map((vm) => h("option", { value: vm.name }, `${vmLetter(vm.index)}  ${vm.name}`)),
      );
      const on = vms.find((vm) => !OFF.has(vm.state));
      this.vm.value = vms.some((vm) => vm.name === kept) ? kept : (on ?? vms[0])?.name;
    }
    this.fillVcpus();
  }

  fillVcpus() {
    const count = this.lab.vm(this.vm.value)?.vcpus.length ?? 0;
    if (this.vcpu.options.length === count) return;
    this.vcpu.replaceChildren(...Array.from({ length: count }, (_unused, i) => h("option", { value: i }, i)));
  }

  // What can be done

  press(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || event.target.closest("input, select, textarea")) return;
    if (this.code.move(event)) return;
    const button = this.panel.querySelector(`[data-cpu][aria-keyshortcuts="${event.key.toUpperCase()}"]`);
    if (!button || button.disabled) return;
    event.preventDefault();
    this.act(button.dataset.cpu);
  }

  act(what) {
    const { vm, vcpu } = this.whose;
    const cursor = this.code.cursor;
    if (what === "break") return this.toggle(cursor);
    if (what !== "break") this.goToPc();
    const asked = {
      back: { verb: "back", unit: "instruction", vm, vcpu },
      step: { verb: "step", unit: "instruction", vm, vcpu },
      over: { verb: "step", unit: "over", vm, vcpu },
      cursor: { verb: "run_until", kind: "breakpoint", vm, vcpu, address: cursor, speed: "" },
      last: { verb: "back", unit: "stop" },
    }[what];
    return this.control(asked);
  }

  goToPc() {
    this.at = "";
    document.getElementById("code-goto").elements.at.value = "";
    document.getElementById("code-pc").hidden = true;
  }

  toggle(address) {
    if (!address) return undefined;
    const { vm } = this.whose;
    const here = this.stops.at(vm, address);
    return this.control(
      here
        ? { verb: "stop_remove", stop: here.id }
        : { verb: "stop_add", kind: "breakpoint", vm, address },
    );
  }

  /** Ask something of the lab's time; show what is wrong with it, if something is. */
  async control(fields) {
    try {
      const answer = await ask(`${this.lab.url}/control`, fields);
      clearMessage();
      if (answer.state) this.lab.takeState(answer.state);
      if (this.shown) this.code.drawStops(this.lab.state.run, this.whose);
      return true;
    } catch (failure) {
      if (!(failure instanceof Refused)) throw failure;
      showMessage(failure.error);
      return false;
    }
  }
}
