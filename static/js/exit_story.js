// "Why did they stop?": the story of one exit or fault: a sentence, then instruction, report, walk, and what the guest saw.
// The newest fault tells its story by itself until another one is picked.
// Data: state.vms[].fault, .faults; GET fault?event= and exit?event= as fragments.
import { announce } from "./announcer.js";
import { ask, clearMessage, Refused, showMessage } from "./ask.js";
import { h, setText } from "./element.js";
import * as selection from "./selection.js";
import { _, n_ } from "./text.js";
import { reach } from "./transport.js";

const SLOW_MS = 250;
const element = (id) => document.getElementById(id);

/** @param {import("./lab.js").Lab} lab */
export const startStories = (lab) => new Stories(lab);

export class Stories {
  constructor(lab) {
    this.lab = lab;
    this.place = element("fault");
    this.event = null;
    this.picked = false;
    this.newest = 0;
    /** Set by the log: go to the exit before or after one. @type {(id: number, by: number) => boolean} */
    this.neighbour = () => false;
    lab.on("state", (state) => this.follow(state.vms));
    document.addEventListener("explain", ({ detail }) => this.load("fault", detail, true));
    document.addEventListener("click", (event) => {
      const link = event.target.closest("[data-explain], [data-exit]");
      if (!link) return;
      if (link.dataset.exit) this.load("exit", Number(link.dataset.exit), true);
      else this.load("fault", Number(link.dataset.explain), true);
    });
    element("story-earlier").addEventListener("click", () => this.go(-1));
    element("story-later").addEventListener("click", () => this.go(1));
    element("story-why").addEventListener("click", () => this.why());
    element("story-close").addEventListener("click", () => this.close());
    this.place.addEventListener("keydown", (event) => event.key === "Escape" && this.close());
    selection.on((what) => {
      const event = what.event === undefined ? null : lab.events.find(({ id }) => id === what.event);
      if (event && event.id !== this.event && ["exit", "fault"].includes(event.kind)) this.tell(event, true, false);
    });
  }

  /** Tell the story of an event of the log. */
  tell(event, picked, focus = true) {
    const kept = event.kind === "fault";
    return this.load(kept ? "fault" : "exit", event.id, picked, focus);
  }

  follow(vms) {
    const faults = vms.filter((vm) => vm.fault !== null);
    const alarm = element("fault-count");
    alarm.hidden = faults.length === 0;
    setText(
      alarm,
      n_(
        "{count} fault",
        "{count} faults",
        faults.reduce((sum, vm) => sum + vm.faults, 0),
      ),
    );
    if (this.kind === "fault" && this.event !== null && !faults.some((vm) => vm.fault >= this.event)) this.clear();
    if (!faults.length) return;
    // A VM that has just crashed is told even if another story was picked before.
    const newest = faults.reduce((last, vm) => (vm.fault > last.fault ? vm : last));
    const crashed = newest.state === "crashed" && newest.fault > this.newest;
    this.newest = newest.fault;
    if ((crashed || !this.picked) && this.event !== newest.fault) this.load("fault", newest.fault);
  }

  clear() {
    this.place.replaceChildren();
    delete this.place.dataset.event;
    Object.assign(this, { event: null, kind: null, picked: false });
    element("story-bar").hidden = true;
    element("no-story").hidden = false;
  }

  close() {
    const line = document.querySelector(`#log [data-event="${this.event}"]`);
    const fault = this.event;
    this.clear();
    this.event = fault; // the newest fault does not come back by itself
    this.picked = true;
    (line ?? document.querySelector('#log [tabindex="0"]'))?.focus();
  }

  go(by) {
    if (!this.neighbour(this.event, by))
      announce("story", by < 0 ? _("There is no earlier exit in the log.") : _("There is no later exit in the log."));
  }

  /** What led to it, below the story; each of its causes can be gone to. */
  async why() {
    const { showWhy } = await import("./timeline_why.js");
    await showWhy(this.place, this.lab, { id: this.event }, (event) => this.visit(event));
    this.place.querySelector(".why")?.scrollIntoView({ block: "nearest" });
  }

  /** Take the page to an event of a chain of causes. */
  async visit({ id, vm, vcpu, position }) {
    try {
      const { state } = await ask(`${this.lab.url}/control`, { verb: "seek", position });
      clearMessage();
      this.lab.takeState(state);
      selection.choose({ event: id, vm, vcpu, position });
    } catch (failure) {
      if (!(failure instanceof Refused)) throw failure;
      showMessage(failure.error);
    }
  }

  async load(kind, id, picked = false, focus = picked) {
    Object.assign(this, { event: id, kind, picked });
    const { place } = this;
    place.dataset.event = String(id);
    element("no-story").hidden = true;
    const slow = setTimeout(() => {
      if (this.event === id) place.replaceChildren(h("p", { class: "note" }, _("Looking back at that instant …")));
    }, SLOW_MS);
    let text = await this.ask(kind, id);
    if (text === null && kind === "fault") text = await this.ask("exit", id); // no story was kept of it
    clearTimeout(slow);
    if (this.event !== id || this.kind !== kind) return;
    if (text !== null) this.show(text, picked, focus);
    else place.replaceChildren(h("p", { class: "note" }, _("The log does not have this exit any more.")));
  }

  async ask(kind, id) {
    const response = await reach(`${this.lab.url}/${kind}?event=${id}`, {
      headers: { "HX-Request": "true" },
    }).catch(() => null);
    return response?.ok ? response.text() : null;
  }

  show(text, picked, focus) {
    const { place } = this;
    const page = new DOMParser().parseFromString(text, "text/html");
    place.replaceChildren(...page.body.childNodes);
    element("story-bar").hidden = false;
    import("./walk_view.js").then(({ startWalks, tidy }) => {
      startWalks(this.lab.url);
      tidy(place);
    });
    if (!picked) return;
    announce("story", place.querySelector(".sentence")?.textContent ?? "");
    if (!focus) return;
    place.tabIndex = -1;
    place.focus({ preventScroll: true });
    place.scrollIntoView({ block: "nearest" });
  }
}
