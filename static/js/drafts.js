// What is typed and not sent yet survives a reload: it is kept for this tab (sessionStorage), put back where it stood, and said
// to be back, with a way to discard it. Keys are the fields of one lab.
import { h } from "./element.js";
import { _ } from "./text.js";

const FIELDS = "#host-line, .console-input input, .predict input:not([type=hidden])";

/** Texts of one kind by name. */
export class Drafts {
  /** @param {string} name of the kind, with the lab's URL in it */
  constructor(name) {
    this.key = `vmlab.draft ${name}`;
    /** @type {Map<string, string>} */
    this.texts = new Map(JSON.parse(sessionStorage.getItem(this.key) ?? "[]"));
  }

  get = (name) => this.texts.get(name);

  /** Keep `text`, or nothing where it is what stands there anyway. */
  put(name, text, untouched) {
    if (text === untouched) this.texts.delete(name);
    else this.texts.set(name, text);
    this.save();
  }

  clear() {
    this.texts.clear();
    this.save();
  }

  save() {
    try {
      sessionStorage.setItem(this.key, JSON.stringify([...this.texts]));
    } catch {
      // no room: what is typed is only on the page then
    }
  }
}

/** A note that a text is back, with a button that discards it. @param {() => void} discard */
export function restoredNote(discard) {
  const note = h("span", { class: "restored", role: "status" });
  const button = h("button", { type: "button", class: "small" }, _("Discard"));
  button.addEventListener("click", () => {
    note.remove();
    discard();
  });
  note.append(_("Your unsaved text is back."), " ", button);
  return note;
}

const nameOf = (field) =>
  field.id || field.closest(".predict")?.id || `console ${field.closest("[data-vm]")?.dataset.vm}`;
const isChoice = (field) => field.type === "radio" || field.type === "checkbox";
const isUntouched = (field, value) => (isChoice(field) ? field.defaultChecked : field.defaultValue === value);

/** Keep the small fields of the lesson and the workbench. @param {import("./lab.js").Lab} lab */
export function keepTyped(lab) {
  const drafts = new Drafts(`${lab.url} fields`);
  const waiting = new Set(drafts.texts.keys());
  document.addEventListener("input", ({ target: field }) => {
    if (!field.matches?.(FIELDS)) return;
    waiting.delete(nameOf(field));
    drafts.put(nameOf(field), field.value, isUntouched(field, field.value) ? field.value : undefined);
  });
  // A line that was sent is not typed any more; an answer is known to the server after a reload.
  document.addEventListener("submit", ({ target }) => {
    const field = target.querySelector?.(FIELDS);
    if (field && !field.closest(".predict")) drafts.put(nameOf(field), "", "");
    for (const note of target.querySelectorAll?.(".restored") ?? []) note.remove();
  });
  const restore = () => {
    for (const field of waiting.size ? document.querySelectorAll(FIELDS) : []) {
      const name = nameOf(field);
      const text = drafts.get(name);
      if (!waiting.has(name) || (isChoice(field) && field.value !== text)) continue;
      waiting.delete(name);
      if (isUntouched(field, text)) drafts.put(name, "", "");
      else bringBack(field, text, () => drafts.put(name, "", ""));
    }
  };
  restore();
  lab.on("state", restore);
}

function bringBack(field, text, forget) {
  if (isChoice(field)) field.checked = true;
  else field.value = text;
  const note = restoredNote(() => {
    forget();
    if (isChoice(field)) field.form.reset();
    else field.value = field.defaultValue;
    field.focus();
  });
  (field.closest("form")?.querySelector(".send") ?? field.parentElement).append(note);
}
