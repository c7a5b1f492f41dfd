// Consoles: one terminal per VM, its output as plain text beside it, and a line to type.
// Data: `console` events ({full, consoles: ConsoleDelta[]}), state.vms.
import { ask, Refused, showMessage } from "./ask.js";
import { h, setText } from "./element.js";
import { badge } from "./frame_readout.js";
import { onTheme } from "./patterns.js";
import { choose, startTabs } from "./tabs.js";

const KEPT = 200000;
// The server takes 20 actions a second for long; whoever types faster has keys sent together.
const POST_EVERY_MS = 50;

/** @param {import("./lab.js").Lab} lab */
export function startConsoles(lab) {
  const tabs = document.getElementById("console-tabs");
  const panels = document.getElementById("console-panels");
  /** @type {Map<string, Console>} */
  const consoles = new Map();
  startTabs(tabs, (panel) => consoles.get(panel.dataset.vm)?.open());
  lab.on("state", ({ vms }) => {
    for (const [name, console] of consoles)
      if (!vms.some((vm) => vm.name === name)) (console.remove(), consoles.delete(name));
    for (const vm of vms)
      if (!consoles.has(vm.name)) consoles.set(vm.name, new Console(vm, lab, tabs, panels));
    for (const vm of vms) consoles.get(vm.name).update(vm);
    if (!tabs.querySelector("[aria-selected=true]") && tabs.firstElementChild)
      choose(tabs.firstElementChild, (panel) => consoles.get(panel.dataset.vm)?.open());
  });
  const early = [];
  lab.on("consoles", ({ full, consoles: deltas }) => {
    if (full) for (const console of consoles.values()) console.clear();
    for (const delta of deltas)
      consoles.has(delta.vm) ? consoles.get(delta.vm).take(delta) : early.push(delta);
  });
  lab.on("state", () => {
    for (const delta of early.splice(0)) consoles.get(delta.vm)?.take(delta);
  });
}

class Console {
  constructor(vm, lab, tabs, panels) {
    this.name = vm.name;
    this.lab = lab;
    this.text = "";
    this.terminal = null;
    this.typed = "";
    this.posting = false;
    const id = `console-${vm.name}`;
    this.tab = h(
      "button",
      {
        type: "button",
        role: "tab",
        id: `${id}-tab`,
        "aria-controls": id,
        "aria-selected": "false",
        tabindex: "-1",
      },
      badge(vm.index),
      ` ${vm.name}`,
    );
    this.host = h("div", { class: "terminal-host" });
    this.plain = h("pre", {
      class: "console-text",
      tabindex: "0",
      role: "region",
      "aria-label": `Console of VM ${vm.name} as text`,
    });
    this.twin = h("details", { class: "twin" }, h("summary", {}, "As plain text"), this.plain);
    this.note = h("span", { class: "quiet" });
    this.input = h("input", {
      type: "text",
      autocomplete: "off",
      autocapitalize: "off",
      spellcheck: "false",
      "aria-label": `Line to send to VM ${vm.name}`,
    });
    const form = h(
      "form",
      { class: "console-input" },
      this.input,
      h("button", { type: "submit", class: "small" }, "Send line"),
      this.note,
    );
    form.addEventListener("submit", (event) => this.send(event));
    this.twin.addEventListener("toggle", () => this.showPlain());
    this.panel = h(
      "div",
      { id, role: "tabpanel", "aria-labelledby": `${id}-tab`, hidden: true, dataset: { vm: vm.name } },
      h("div", { class: "terminal-box" }, this.host),
      form,
      this.twin,
    );
    tabs.append(this.tab);
    panels.append(this.panel);
  }

  remove() {
    const selected = this.tab.getAttribute("aria-selected") === "true";
    const next = this.tab.nextElementSibling ?? this.tab.previousElementSibling;
    this.terminal?.dispose();
    this.tab.remove();
    this.panel.remove();
    if (selected) next?.click();
  }

  update(vm) {
    const off = vm.state === "shut off" || vm.state === "crashed";
    this.input.disabled = off;
    const waiting = vm.console_waiting ? `${vm.console_waiting} characters not read yet` : "";
    setText(this.note, off ? `VM ${vm.name} is ${vm.state}` : waiting);
  }

  clear() {
    this.text = "";
    this.terminal?.reset();
    this.showPlain();
  }

  take(delta) {
    if (delta.reset) this.clear();
    this.text = (this.text + delta.text).slice(-KEPT);
    this.terminal?.write(delta.text);
    this.showPlain();
  }

  showPlain() {
    if (this.twin.open) setText(this.plain, this.text || "Nothing has been printed yet.");
  }

  /** Bring up the terminal; its code is loaded the first time. */
  async open() {
    if (this.terminal || this.loading) return this.terminal?.fit();
    this.loading = true;
    const { openTerminal } = await import("./terminal.js");
    const label = `Console of VM ${this.name}`;
    this.terminal = openTerminal(this.host, label, this.text, (text) => this.post(text));
    onTheme(() => this.terminal.recolour());
  }

  send(event) {
    event.preventDefault();
    this.post(`${this.input.value}\n`);
    this.input.value = "";
  }

  /** Send what was typed, in order: while one request is under way, keys wait and then travel together. */
  async post(text) {
    this.typed += text;
    if (this.posting) return;
    this.posting = true;
    try {
      while (this.typed) {
        const action = { verb: "console_input", vm: this.name, text: this.typed };
        this.typed = "";
        const pause = new Promise((resolve) => setTimeout(resolve, POST_EVERY_MS));
        this.lab.takeState((await ask(`${this.lab.url}/actions`, action)).state);
        await pause;
      }
    } catch (failure) {
      if (!(failure instanceof Refused)) throw failure;
      this.typed = "";
      showMessage(failure.error);
    } finally {
      this.posting = false;
    }
  }
}
