// The configuration as it is being edited: the form and the text follow each other, undo and redo, and what would change.
// Data: POST config with `preview` (app/desk/preview.py) -> {text, changes: {text, when: "now"|"restart"|"off", vm}[],
// diff: {kind: " "|"-"|"+", line, text}[], form?: HTML after an edit of the text}. Nothing is applied here.
import htmx from "htmx.org";
import { ask, Refused } from "./ask.js";
import { Drafts, restoredNote } from "./drafts.js";
import { h, setText } from "./element.js";
import { _ } from "./text.js";

const FORM_MS = 250;
const TEXT_MS = 450;
const KEPT = 50;
const WHEN = { now: _("now"), restart: _("needs a restart"), off: _("needs it to be shut off first") };
const HOST_OFF = _("needs all VMs to be shut off first");

export class Draft {
  /** @param {HTMLElement} place @param {string} url @param {{drawn: () => void, wrong: (where: string, message: string) => void}} owner */
  constructor(place, url, owner) {
    this.place = place;
    this.url = url;
    this.owner = owner;
    this.asked = 0;
    this.drafts = new Drafts(url);
    this.first = true;
    this.timer = 0;
    /** @type {{form: HTMLFormElement, text: string}[]} */
    this.past = [];
    this.at = -1;
    this.undo = document.getElementById("config-undo");
    this.redo = document.getElementById("config-redo");
    this.undo.addEventListener("click", () => this.go(-1));
    this.redo.addEventListener("click", () => this.go(1));
  }

  get form() {
    return this.place.querySelector("#config-form");
  }

  get area() {
    return this.place.querySelector("#config-yaml");
  }

  /** The form was loaded anew: what is shown is the lab's configuration, with the comments that the text had. */
  loaded() {
    this.asked++;
    clearTimeout(this.timer);
    if (!this.form) return;
    if (this.comments && uncommented(this.comments) === this.area.value) this.area.value = this.comments;
    this.hold();
    this.keep();
    this.restore();
  }

  /** What was typed before the page was loaded anew comes back; once the lab has something new, it is forgotten. */
  restore() {
    this.had = this.area.value;
    const text = this.first ? this.drafts.get("text") : undefined;
    this.first = false;
    if (text === undefined || text === this.had) return this.drafts.clear();
    this.area.value = text;
    this.form.before(
      restoredNote(() => {
        this.area.value = this.had;
        this.remember();
        this.follow(true);
      }),
    );
    return this.follow(true);
  }

  remember() {
    this.drafts.put("text", this.area.value, this.had);
  }

  /** Remember a text with comments: the form is made from it, and would lose them otherwise. */
  hold() {
    const commented = uncommented(this.area.value) !== this.area.value;
    this.comments = commented ? this.area.value : "";
    if (commented) this.form.elements.base.value = this.area.value;
  }

  /** Somebody edits. @param {boolean} text in the text, else in the form */
  edited(text) {
    clearTimeout(this.timer);
    if (text) this.remember();
    this.timer = setTimeout(() => this.follow(text), text ? TEXT_MS : FORM_MS);
  }

  /** Have what was not edited follow what was. */
  async follow(text) {
    const found = await this.preview(text ? { text: this.area.value } : this.fields(), text);
    if (!found) return;
    if (text) this.takeForm(found.form);
    else this.area.value = found.text;
    this.comments = uncommented(found.text) === found.text ? "" : found.text;
    this.show(found);
    this.keep();
    this.remember();
  }

  fields() {
    const fields = Object.fromEntries(new FormData(this.form));
    if (!fields.base) delete fields.base;
    return fields;
  }

  /** Ask what would change; null if something is wrong, which is then shown, or something newer was asked. */
  async preview(fields, text) {
    const asked = ++this.asked;
    try {
      const found = await ask(this.url, { ...fields, preview: 1 });
      if (asked !== this.asked) return null;
      this.right();
      return found;
    } catch (failure) {
      if (!(failure instanceof Refused)) throw failure;
      if (asked === this.asked) this.complain(failure.error, text);
      return null;
    }
  }

  right() {
    this.owner.wrong("", "");
    this.area.removeAttribute("aria-invalid");
    document.getElementById("config-text-wrong").hidden = true;
  }

  /** Say what is wrong at its field, or in the text with its line. */
  complain(error, text) {
    this.right();
    this.enable();
    this.form.querySelector("#config-changes").replaceChildren();
    if (!text) return this.owner.wrong(error.where ?? "", error.message);
    const wrong = document.getElementById("config-text-wrong");
    const { line, column, message } = error.diagnostics?.[0] ?? { line: 0, message: error.message };
    const where = line ? _("line {line}, column {column}", { line, column }) : "";
    wrong.replaceChildren(
      where && h("button", { type: "button", class: "plain", onclick: () => this.select(line) }, where),
      ` ${message}`,
    );
    wrong.hidden = false;
    this.area.setAttribute("aria-invalid", "true");
  }

  /** Go to a line of the text. */
  select(line) {
    const lines = this.area.value.split("\n");
    const from = lines.slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
    this.area.focus();
    this.area.setSelectionRange(from, from + (lines[line - 1]?.length ?? 0));
  }

  /** Put the form that belongs to the text in the place of the one that is there. */
  takeForm(html) {
    const parsed = new DOMParser().parseFromString(html, "text/html").getElementById("config-form");
    this.put(document.importNode(parsed, true));
    this.form.elements.base.value = this.area.value;
  }

  put(form) {
    this.form.replaceWith(form);
    htmx.process(form);
    this.owner.drawn();
  }

  // Undo and redo

  keep() {
    const now = { form: copyOf(this.form), text: this.area.value };
    const last = this.past[this.at];
    if (last && last.text === now.text && sameFields(last.form, now.form)) return this.past.splice(this.at, 1, now);
    this.past.splice(this.at + 1, Infinity, now);
    if (this.past.length > KEPT) this.past.shift();
    this.at = this.past.length - 1;
    this.enable();
  }

  /** Whether what is shown was never valid, so that it is not among what is kept. */
  get unfinished() {
    const { text, form } = this.past[this.at] ?? {};
    return Boolean(form) && (text !== this.area.value || !sameFields(form, this.form));
  }

  async go(step) {
    const to = this.unfinished && step < 0 ? this.past[this.at] : this.past[this.at + step];
    if (!to) return;
    clearTimeout(this.timer);
    this.at = this.past.indexOf(to);
    this.put(copyOf(to.form));
    this.area.value = to.text;
    this.comments = uncommented(to.text) === to.text ? "" : to.text;
    this.enable();
    this.owner.edited();
    const found = await this.preview(this.fields(), false);
    if (found) this.show(found);
  }

  enable() {
    // A button that is pressed keeps the focus: it says that there is no more instead of vanishing from the tab order.
    this.undo.disabled = this.at <= 0 && !this.unfinished && document.activeElement !== this.undo;
    this.redo.disabled = this.at >= this.past.length - 1 && document.activeElement !== this.redo;
  }

  // What would change

  show({ changes, diff }) {
    const place = this.form.querySelector("#config-changes");
    if (!changes.length) return place.replaceChildren(h("p", { class: "note" }, _("This is what the lab has: nothing would change.")));
    const restart = changes.some(({ when }) => when === "restart");
    place.replaceChildren(
      h("h3", {}, _("What would change?")),
      h("ul", {}, ...changes.map(({ text, when, vm }) => h("li", {}, text, " ", h("b", { class: `when ${when}` }, waits(when, vm))))),
      restart
        ? h("label", {}, h("input", { type: "checkbox", name: "restart", value: "1" }), " ", _("Restart the VMs that need it"))
        : "",
      h(
        "details",
        { id: "config-diff" },
        h("summary", {}, _("The difference of the texts")),
        h("div", { class: "diff wide", tabindex: 0, role: "region", "aria-label": _("The difference of the texts") }, ...diff.map(diffLine)),
      ),
    );
    this.owner.drawn();
  }
}

/** When a change can be made: of the host, all its VMs have to be off. */
const waits = (when, vm) => (when === "off" && !vm ? HOST_OFF : WHEN[when]);

const KINDS = { "+": "ins", "-": "del", " ": "span" };

function diffLine({ kind, line, text }) {
  return h("div", { class: `diff-line ${KINDS[kind]}` }, h("span", { class: "line" }, line), h(KINDS[kind], {}, `${kind} ${text}`));
}

/** A form as it is filled in: a copy has the fields' values, but not what is selected. */
function copyOf(form) {
  const copy = form.cloneNode(true);
  const chosen = [...form.querySelectorAll("select")].map((select) => select.value);
  for (const [place, select] of [...copy.querySelectorAll("select")].entries()) select.value = chosen[place];
  copy.querySelector("#config-changes").replaceChildren();
  return copy;
}

const sameFields = (a, b) => JSON.stringify([...new FormData(a)]) === JSON.stringify([...new FormData(b)]);

/** A text that the lab has written without the comments that were kept in it (app/web/comments.py). */
const uncommented = (text) =>
  text
    .split("\n")
    .filter((line) => !/^\s*#/.test(line))
    .map((line) => line.replace(/(\s)\s*#[^"']*$/, "").trimEnd())
    .join("\n");
