// The log of what happened, newest first: filtered by kind, VM and reason, gone through with the arrow keys. An exit or a
// fault that is chosen is explained, and everything that is chosen is chosen for the whole page.
// Data: `events` (EventView: id, position, at_ns, kind, vm, vcpu, reason, text).
import { announce } from "./announcer.js";
import { h } from "./element.js";
import { badge } from "./frame_readout.js";
import * as numbers from "./numbers.js";
import { callWords } from "./sbi_words.js";
import * as selection from "./selection.js";
import { told, words } from "./sentences.js";
import { _ } from "./text.js";

const SHOWN = 200;
const TOLD = ["exit", "fault"];
const element = (id) => document.getElementById(id);

/** @param {import("./lab.js").Lab} lab @param {import("./exit_story.js").Stories} stories */
export function startExitLog(lab, stories) {
  const log = new ExitLog(lab, stories);
  stories.neighbour = (id, by) => log.neighbour(id, by);
  return log;
}

/** What an event says; a call of the guest in words first, then by its name. */
function said(event) {
  const call = callWords(event);
  return call ? [call, " (", told(event.text), ")"] : [told(event.text)];
}

class ExitLog {
  constructor(lab, stories) {
    this.lab = lab;
    this.stories = stories;
    this.list = element("log");
    this.stale = true; // the first events come before the state that says which VMs there are
    this.reasons = new Set();
    element("log-filter").addEventListener("change", () => this.redraw());
    this.list.addEventListener("click", (event) => {
      const line = event.target.closest("[data-event]");
      if (line) this.pick(Number(line.dataset.event));
    });
    this.list.addEventListener("keydown", (event) => this.move(event));
    lab.on("state", () => {
      this.fillVms();
      if (this.stale) this.redraw();
      this.stale = false;
    });
    lab.on("events", ({ events, full }) => {
      full ? (this.stale = true) : this.add(events);
      if (!full)
        for (const event of events) if (event.kind === "fault") announce(`fault ${event.vm}`, words(event.text));
    });
    selection.on((what, from) => from !== this && this.mark(what.event));
  }

  /** Show only the exits of a VM for a reason, and go to the newest. */
  narrow(vm, reason) {
    this.learn(this.lab.events);
    this.reasons.add(reason);
    this.fillReasons();
    element("log-vm").value = vm;
    element("log-reason").value = reason;
    element("log-filter").querySelector('[value="exit"]').checked = true;
    this.redraw();
    (this.list.querySelector("[data-event]") ?? element("log-reason")).focus();
  }

  wanted() {
    const kinds = [...element("log-filter").querySelectorAll("input:checked")].flatMap(({ value }) => value.split(" "));
    const [vm, reason] = [element("log-vm").value, element("log-reason").value];
    return (event) =>
      kinds.includes(event.kind) && (!vm || event.vm === vm) && (!reason || event.reason === reason);
  }

  redraw() {
    this.learn(this.lab.events);
    const shown = this.lab.events.filter(this.wanted()).slice(-SHOWN);
    this.list.replaceChildren(...shown.reverse().map((event) => this.line(event)));
    this.settle();
  }

  /** Put new events on top; what stands there keeps focus and place. */
  add(events) {
    this.learn(events);
    const fresh = events.filter(this.wanted()).slice(-SHOWN);
    this.list.prepend(...fresh.reverse().map((event) => this.line(event)));
    while (this.list.children.length > SHOWN) this.list.lastChild.remove();
    this.settle();
  }

  settle() {
    element("no-events").hidden = this.list.children.length > 0;
    const lines = [...this.list.querySelectorAll("[data-event]")];
    const stop = lines.find((line) => line === document.activeElement) ?? lines.find(isChosen) ?? lines[0];
    for (const line of lines) line.tabIndex = line === stop ? 0 : -1;
  }

  line(event) {
    const vm = event.vm === null ? null : this.lab.vm(event.vm);
    return h(
      "li",
      { class: event.kind },
      h(
        "button",
        {
          type: "button",
          class: "plain line",
          tabindex: -1,
          "aria-pressed": String(event.id === this.chosen),
          dataset: { event: event.id },
        },
        h("time", { title: _("position {n}", { n: numbers.exact(event.position) }) }, numbers.time(event.at_ns)),
        vm ? badge(vm.index) : h("span"),
        h("span", {}, event.kind === "exit" ? h("b", {}, told(event.reason), ": ") : null, ...said(event)),
      ),
    );
  }

  /** Choose an event: for an exit or a fault, tell its story. */
  pick(id) {
    const event = this.lab.events.find((one) => one.id === id);
    this.mark(id);
    if (!event) return;
    const { vm, vcpu, position } = event;
    if (TOLD.includes(event.kind)) this.stories.tell(event, true);
    selection.choose({ ...(vm === null ? {} : { vm }), ...(vcpu === null ? {} : { vcpu }), event: id, position }, { from: this });
  }

  mark(id) {
    this.chosen = id;
    for (const line of this.list.querySelectorAll("[data-event]"))
      line.setAttribute("aria-pressed", String(Number(line.dataset.event) === id));
    this.settle();
  }

  /** The exit or fault before (-1) or after (1) an event, as the log is filtered now. */
  neighbour(id, by) {
    const told = this.lab.events.filter(this.wanted()).filter(({ kind }) => TOLD.includes(kind));
    const at = told.findIndex((event) => event.id === id);
    const next = at < 0 ? undefined : told[at + by];
    if (next) this.pick(next.id);
    return next !== undefined;
  }

  move(event) {
    const lines = [...this.list.querySelectorAll("[data-event]")];
    const at = lines.indexOf(document.activeElement);
    const to = {
      ArrowDown: at + 1,
      ArrowUp: at - 1,
      PageDown: at + 10,
      PageUp: at - 10,
      Home: 0,
      End: lines.length - 1,
    }[event.key];
    if (to === undefined || at < 0) return;
    event.preventDefault();
    const next = lines[Math.max(0, Math.min(lines.length - 1, to))];
    next.focus();
    this.settle();
  }

  /** Remember the reasons that there were, for the list to choose from. */
  learn(events) {
    const size = this.reasons.size;
    for (const event of events) if (TOLD.includes(event.kind)) this.reasons.add(event.reason);
    if (this.reasons.size !== size) this.fillReasons();
  }

  fillReasons() {
    fill(element("log-reason"), [...this.reasons].sort(), words);
  }

  fillVms() {
    fill(element("log-vm"), this.lab.state.vms.map((vm) => vm.name));
  }
}

const isChosen = (line) => line.getAttribute("aria-pressed") === "true";

/** Fill a select with "all" and names. */
function fill(list, names, say = (name) => name) {
  const chosen = list.value;
  if ([...list.options].slice(1).map(({ value }) => value).join() === names.join()) return;
  list.replaceChildren(list.options[0], ...names.map((name) => h("option", { value: name }, say(name))));
  list.value = names.includes(chosen) ? chosen : "";
}
