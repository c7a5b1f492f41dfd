// The guest program: choose a VM, edit its source, assemble and restart. A plain text area works without this file;
// CodeMirror takes its place when the panel first comes up. The assembler's errors are marked where they are.
import { ask, clearMessage, look, Refused } from "./ask.js";
import { Drafts } from "./drafts.js";
import { h, sentence, setText } from "./element.js";
import { vmLetter } from "./patterns.js";
import { languageOf, words } from "./sentences.js";
import { _ } from "./text.js";

/** States in which a new program does not start by itself. */
const OFF = new Set(["shut off", "crashed"]);

/** @param {import("./lab.js").Lab} lab */
export function startProgram(lab) {
  const panel = document.getElementById("panel-program");
  const form = document.getElementById("program-form");
  const editor = new Editor(form.querySelector("textarea"));
  const choice = form.querySelector("select[name=vm]");
  const submit = form.querySelector("button[type=submit]");
  const done = document.getElementById("program-done");
  const drafts = new Drafts(`${lab.url} programs`);
  editor.onUpgrade = () => lab.state?.vms && drawPc(editor, lab, loaded);
  let loaded = choice.value;
  let source = null; // of the program that is loaded, as the lab has it
  let actions = 0;

  const switchTo = async (name) => {
    loaded = name;
    choice.value = name;
    showDiagnostics(editor, []);
    setText(done, "");
    await bring(name, drafts.get(name));
  };
  // Nothing can be assembled while the program of another VM may still stand in the editor.
  const bring = async (name, draft) => {
    submit.disabled = true;
    source = null;
    if (draft === undefined) editor.text = "";
    const text = await fetchSource(lab, name);
    if (loaded !== name) return;
    if (text === null)
      return setText(done, _("The program could not be fetched. Choose the VM again to retry."));
    editor.text = draft ?? text;
    source = text;
    if (draft !== undefined && draft !== text) setText(done, _("Your unsaved text is back. “Undo my changes” discards it."));
    submit.disabled = false;
  };
  form.querySelector("textarea").addEventListener("input", () => source !== null && drafts.put(loaded, editor.text, source));
  choice.addEventListener("change", () => switchTo(choice.value));
  panel.addEventListener("shown", () => editor.upgrade());
  let asked = false;
  panel.addEventListener("shown", () => (asked ||= Boolean(choice.value) && (switchTo(choice.value), true)));
  form.querySelector("#program-revert").addEventListener("click", () => {
    drafts.put(loaded, "", "");
    const nothing = editor.text === source;
    switchTo(loaded);
    if (nothing)
      setText(done, _("Nothing to undo: this is what the VM has. “Start the lab over” under Configuration brings back the lesson's programs."));
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    assemble(lab, form, editor, loaded, (text) => {
      source = text;
      drafts.put(loaded, text, text);
    });
  });
  lab.on("state", ({ vms }) => {
    const names = vms.map((vm) => vm.name);
    if (names.join() !== [...choice.options].map((option) => option.value).join()) {
      choice.replaceChildren(
        ...vms.map((vm) => h("option", { value: vm.name }, `${vmLetter(vm.index)}  ${vm.name}`)),
      );
      if (names.includes(loaded)) choice.value = loaded;
      else if (names.length) switchTo(names[0]);
    }
    drawPc(editor, lab, loaded);
    // Fewer actions than before: it was started over, stands in its past, or is being opened again. What is typed stays.
    if (lab.state.actions < actions && drafts.get(loaded) === undefined) switchTo(loaded);
    actions = lab.state.actions;
  });
  lab.on("restarted", () => (drafts.clear(), switchTo(loaded)));
}

/** The source of a VM's program, or null if the server does not answer. */
async function fetchSource(lab, name) {
  const program = await look(`${lab.url}/program?vm=${encodeURIComponent(name)}`);
  return program && (program.source ?? "");
}

async function assemble(lab, form, editor, name, assembled) {
  const button = form.querySelector("button[type=submit]");
  const done = document.getElementById("program-done");
  button.setAttribute("aria-busy", "true");
  setText(done, "");
  try {
    const source = editor.text;
    lab.takeState((await ask(`${lab.url}/program`, { vm: name, source })).state);
    assembled(source);
    if (OFF.has(lab.vm(name)?.state))
      lab.takeState((await ask(`${lab.url}/actions`, { verb: "start", vm: name })).state);
    clearMessage();
    showDiagnostics(editor, []);
    setText(done, _("Assembled; VM {name} started with it.", { name }));
  } catch (failure) {
    if (!(failure instanceof Refused)) throw failure;
    showDiagnostics(editor, failure.error.diagnostics ?? [], failure.error);
  } finally {
    button.removeAttribute("aria-busy");
  }
}

/** List the errors under the editor, each with a button that goes there, and mark them in the text. */
function showDiagnostics(editor, diagnostics, error = null) {
  const place = document.getElementById("program-errors");
  editor.mark(diagnostics);
  if (!error) return place.replaceChildren();
  const items = diagnostics.map((diagnostic) =>
    h(
      "li",
      {},
      h(
        "button",
        { type: "button", onclick: () => editor.goto(diagnostic.line, diagnostic.column) },
        _("line {line}, column {column}", { line: diagnostic.line, column: diagnostic.column }),
      ),
      h("span", { lang: languageOf(diagnostic.message) }, ...sentence(words(diagnostic.message))),
      diagnostic.hint ? h("span", { class: "hint", lang: languageOf(diagnostic.hint) }, words(diagnostic.hint)) : null,
    ),
  );
  place.replaceChildren(
    h(
      "div",
      { class: "message" },
      h("h3", {}, error.title || _("This program does not assemble")),
      items.length ? null : h("p", {}, ...sentence(error.message)),
      error.remedy ? h("p", {}, error.remedy) : null,
      items.length ? h("ul", { class: "diagnostics" }, ...items) : null,
    ),
  );
  return undefined;
}

/** Mark the line on which each vCPU stands, while nothing was edited. */
function drawPc(editor, lab, name) {
  const lines = (lab.vm(name)?.vcpus ?? [])
    .filter((vcpu) => vcpu.line && vcpu.state !== "off")
    .map((vcpu) => vcpu.line);
  editor.standAt(lines, lab.state.run?.mode !== "running");
}

/** The text area, or the CodeMirror view that took its place. */
class Editor {
  constructor(area) {
    this.area = area;
    this.view = null;
    this.marks = [];
  }

  async upgrade() {
    if (this.view || this.loading) return;
    this.loading = true;
    const { openEditor } = await import("./editor.js");
    this.view = openEditor(this.area);
    this.view.mark(this.marks);
    this.onUpgrade?.();
  }

  get text() {
    return this.view ? this.view.text() : this.area.value;
  }

  set text(value) {
    this.area.value = value;
    this.view?.setText(value);
  }

  mark(diagnostics) {
    this.marks = diagnostics;
    this.area.setAttribute("aria-invalid", String(diagnostics.length > 0));
    this.view?.mark(diagnostics);
  }

  standAt(lines, follow) {
    this.view?.standAt(lines, follow);
  }

  goto(line, column) {
    if (this.view) return this.view.goto(line, column);
    const start =
      this.area.value
        .split("\n")
        .slice(0, line - 1)
        .join("\n").length +
      (line > 1 ? 1 : 0) +
      column -
      1;
    this.area.focus();
    return this.area.setSelectionRange(start, start + 1);
  }
}
