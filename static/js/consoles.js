// Consoles: one terminal per VM with search, its output as plain text beside it, what it had printed later where the lab
// went back, and a line to type; one at a time, or all beside each other.
// Data: `console` events ({full, consoles: ConsoleDelta[]}), state.vms, state.position, state.run.behind.
import { announce } from "./announcer.js";
import { ask, Refused, showMessage } from "./ask.js";
import { ConsoleText, readable } from "./console_text.js";
import { h, setText } from "./element.js";
import { badge } from "./frame_readout.js";
import { onTheme } from "./patterns.js";
import { choose, startTabs } from "./tabs.js";
import { _, n_ } from "./text.js";

// The server takes 20 actions a second for long; whoever types faster has keys sent together.
const POST_EVERY_MS = 50;
const PLAIN_EVERY_MS = 120;

/** @param {import("./lab.js").Lab} lab */
export function startConsoles(lab) {
  const tabs = document.getElementById("console-tabs");
  const panels = document.getElementById("console-panels");
  const dock = document.getElementById("panel-consoles");
  /** @type {Map<string, Console>} */
  const consoles = new Map();
  const open = (panel) => consoles.get(panel.dataset.vm)?.open();
  startTabs(tabs, open);
  startGrid(panels, () => consoles.values());
  dock.addEventListener("shown", () => {
    for (const console of consoles.values()) console.seen();
  });
  let position = 0;
  lab.on("state", (state) => {
    const { vms } = state;
    for (const [name, console] of consoles)
      if (!vms.some((vm) => vm.name === name)) (console.remove(), consoles.delete(name));
    for (const vm of vms)
      if (!consoles.has(vm.name)) consoles.set(vm.name, new Console(vm, lab, tabs, panels));
    for (const vm of vms) consoles.get(vm.name).update(vm);
    if (!tabs.querySelector("[aria-selected=true]") && tabs.firstElementChild) choose(tabs.firstElementChild, open);
  });
  const early = [];
  lab.on("consoles", ({ full, consoles: deltas }) => {
    for (const delta of deltas)
      consoles.has(delta.vm) ? consoles.get(delta.vm).take(delta, full) : early.push([delta, full]);
  });
  lab.on("state", (state) => {
    for (const [delta, full] of early.splice(0)) consoles.get(delta.vm)?.take(delta, full);
    const newest = state.run?.behind === false; // the present: nothing is later
    for (const console of consoles.values()) console.settle(state.position < position, newest);
    position = state.position;
  });
}

/** The button that shows all consoles beside each other. */
function startGrid(panels, consoles) {
  const button = document.getElementById("console-all");
  button.addEventListener("click", () => {
    const all = panels.classList.toggle("all-at-once");
    button.setAttribute("aria-pressed", String(all));
    for (const console of consoles()) all ? console.open() : console.terminal?.fit();
  });
}

class Console {
  constructor(vm, lab, tabs, panels) {
    this.name = vm.name;
    this.lab = lab;
    this.output = new ConsoleText();
    this.cleared = 0; // the offset from which the view shows output
    this.terminal = null;
    this.typed = "";
    this.posting = null;
    this.timer = 0;
    this.known = false;
    this.panels = panels;
    const id = `console-${vm.name}`;
    this.mark = h("span", { class: "unread", hidden: true }, h("span", { class: "unseen" }, _("new output")));
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
      this.mark,
    );
    this.host = h("div", { class: "terminal-host" });
    this.empty = h("p", { class: "terminal-empty note" }, _("Nothing has been printed yet."));
    this.plain = h("pre", {
      class: "console-text",
      tabindex: "0",
      role: "region",
      "aria-label": _("Console of VM {vm} as text", { vm: vm.name }),
    });
    this.twin = h("details", { class: "twin" }, h("summary", {}, _("As plain text")), this.plain);
    this.twin.addEventListener("toggle", () => this.showPlain());
    this.panel = h(
      "div",
      { id, role: "tabpanel", "aria-labelledby": `${id}-tab`, hidden: true, dataset: { vm: vm.name } },
      h("div", { class: "console-head" }, h("h3", {}, badge(vm.index), ` ${vm.name}`), this.searchForm(), this.verbs()),
      h("div", { class: "terminal-box" }, this.host, this.empty),
      this.laterPart(id),
      this.inputForm(),
      this.twin,
    );
    this.panel.addEventListener("shown", () => this.seen());
    tabs.append(this.tab);
    panels.append(this.panel);
  }

  searchForm() {
    const words = h("input", {
      type: "search",
      autocomplete: "off",
      spellcheck: "false",
      placeholder: _("Find"),
      "aria-label": _("Find in the console of VM {vm}", { vm: this.name }),
    });
    const said = h("span", { class: "quiet", role: "status" });
    const find = (back) => {
      const found = words.value && this.terminal?.find(words.value, back);
      setText(said, !words.value || found ? "" : _("not found"));
    };
    const form = h(
      "form",
      { class: "console-find", role: "search", "aria-label": words.getAttribute("aria-label") },
      words,
      h("button", { type: "submit", class: "small", title: _("Find the previous one (further up)") }, "\u2191"),
      h("button", { type: "submit", class: "small", value: "next", title: _("Find the next one (further down)") }, "\u2193"),
      said,
    );
    for (const button of form.querySelectorAll("button")) button.setAttribute("aria-label", button.title);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      find(event.submitter?.value !== "next");
    });
    words.addEventListener("input", () => find(true));
    this.words = words;
    return form;
  }

  verbs() {
    const button = (text, title, act) => h("button", { type: "button", class: "small", title, onclick: () => act() }, text);
    return h(
      "div",
      { class: "console-verbs" },
      button(_("Copy"), _("Copy what is selected, or everything"), () => this.copy()),
      button(_("Clear view"), _("Empty the view; the lab keeps what was printed"), () => this.clearView()),
      button(_("Download"), _("Download what was printed as a text file"), () => this.download()),
    );
  }

  laterPart(id) {
    this.laterText = h("pre", { class: "later-text", tabindex: "0", role: "region", "aria-labelledby": `${id}-later` });
    this.laterTitle = h("summary", { id: `${id}-later` });
    this.laterBox = h("details", { class: "console-later", hidden: true, open: true }, this.laterTitle, this.laterText);
    return this.laterBox;
  }

  inputForm() {
    this.note = h("span", { class: "quiet" });
    this.input = h("input", {
      type: "text",
      autocomplete: "off",
      autocapitalize: "off",
      spellcheck: "false",
      "aria-label": _("Line to send to VM {vm}", { vm: this.name }),
    });
    const form = h(
      "form",
      { class: "console-input" },
      this.input,
      h("button", { type: "submit", class: "small" }, _("Send line")),
      this.note,
    );
    form.addEventListener("submit", (event) => this.send(event));
    return form;
  }

  remove() {
    const selected = this.tab.getAttribute("aria-selected") === "true";
    const next = this.tab.nextElementSibling ?? this.tab.previousElementSibling;
    clearTimeout(this.timer);
    this.terminal?.dispose();
    this.tab.remove();
    this.panel.remove();
    if (selected) next?.click();
  }

  update(vm) {
    const off = vm.state === "shut off" || vm.state === "crashed";
    this.input.disabled = off;
    const waiting = vm.console_waiting ? n_("{count} character not read yet", "{count} characters not read yet", vm.console_waiting) : "";
    setText(this.note, off ? _("VM {vm} is {state}", { vm: this.name, state: _(vm.state) }) : waiting);
  }

  /** Whether somebody can see this console now. */
  get visible() {
    return this.panel.offsetParent !== null;
  }

  /** Take output: more of it, or all anew. @param {any} delta ConsoleDelta @param {boolean} full */
  take(delta, full) {
    if (delta.reset) {
      this.output.replace(delta.offset, delta.text, full);
      this.cleared = 0;
      this.terminal?.rebuild(this.output.text);
    } else {
      this.output.append(delta.text);
      this.terminal?.write(delta.text);
    }
    if (this.known && !delta.reset && delta.text && !this.visible) this.mark.hidden = false;
    this.known = true;
    this.soon();
  }

  /** The lab stands somewhere now: `wentBack` from where it was; `newest` says that nothing is later. */
  settle(wentBack, newest) {
    const { later } = this.output;
    this.output.settle(wentBack);
    if (newest) this.output.overtake();
    if (later !== this.output.later) this.soon();
  }

  /** Show the texts soon: fast output must not have the page lay them out at each piece. */
  soon() {
    this.timer ||= setTimeout(() => {
      this.timer = 0;
      this.showPlain();
      this.showLater();
    }, PLAIN_EVERY_MS);
  }

  /** What the view shows: everything since it was cleared. */
  get shown() {
    return this.output.text.slice(Math.max(0, this.cleared - this.output.start));
  }

  showPlain() {
    this.empty.hidden = Boolean(this.shown);
    if (this.twin.open) setText(this.plain, this.shown || _("Nothing has been printed yet."));
  }

  showLater() {
    const later = readable(this.output.later).replace(/^\n/, "");
    this.laterBox.hidden = !later;
    const lines = later.split("\n").length;
    setText(this.laterTitle, n_("Printed later: {count} line", "Printed later: {count} lines", lines));
    setText(this.laterText, later);
  }

  seen() {
    if (this.visible) this.mark.hidden = true;
  }

  /** Bring up the terminal; its code is loaded the first time. */
  async open() {
    this.seen();
    if (this.terminal || this.loading) return this.terminal?.fit();
    this.loading = true;
    const { openTerminal } = await import("./terminal.js");
    const label = _("Console of VM {vm}", { vm: this.name });
    this.terminal = openTerminal(this.host, label, this.shown, (text) => this.post(text), () => this.words.focus());
    onTheme(() => this.terminal.recolour());
  }

  clearView() {
    this.cleared = this.output.end;
    this.terminal?.rebuild("");
    this.showPlain();
    announce("console", _("The view of VM {vm} is empty.", { vm: this.name }));
  }

  async copy() {
    const text = this.terminal?.selection() || readable(this.shown);
    await copyText(text);
    announce("console", n_("{count} character copied", "{count} characters copied", text.length));
  }

  download() {
    const text = readable(this.output.text);
    const url = URL.createObjectURL(new Blob([text], { type: "text/plain;charset=utf-8" }));
    h("a", { href: url, download: `console-${this.name}.txt` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  }

  /** Send the line; it is back in its field if it did not get there. */
  async send(event) {
    event.preventDefault();
    const line = this.input.value;
    this.input.value = "";
    if ((await this.post(`${line}\n`)) || this.input.value) return;
    this.input.value = line;
    this.input.dispatchEvent(new Event("input", { bubbles: true }));
  }

  /** Send what was typed, in order: while one request is under way, keys wait and then travel together. */
  post(text) {
    this.typed += text;
    this.posting ??= this.flush().finally(() => (this.posting = null));
    return this.posting;
  }

  /** @returns {Promise<boolean>} whether all of it was taken */
  async flush() {
    try {
      while (this.typed) {
        const action = { verb: "console_input", vm: this.name, text: this.typed };
        this.typed = "";
        const pause = new Promise((resolve) => setTimeout(resolve, POST_EVERY_MS));
        this.lab.takeState((await ask(`${this.lab.url}/actions`, action)).state);
        await pause;
      }
      return true;
    } catch (failure) {
      if (!(failure instanceof Refused)) throw failure;
      this.typed = "";
      showMessage(failure.error);
      return false;
    }
  }
}

/** Put a text into the clipboard; on plain http there is only the old way. */
async function copyText(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text).catch(() => copyBySelection(text));
  return copyBySelection(text);
}

function copyBySelection(text) {
  const area = h("textarea", { class: "unseen", "aria-hidden": "true" });
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}
