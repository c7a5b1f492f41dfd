// The guest program: choose a VM, edit its source, assemble and restart. A plain text area works without this file;
// CodeMirror takes its place when the panel first comes up. The assembler's errors are marked where they are.
import { ask, clearMessage, Refused } from "./ask.js";
import { h, sentence, setText } from "./element.js";
import { vmLetter } from "./patterns.js";

/** States in which a new program does not start by itself. */
const OFF = new Set(["shut off", "crashed"]);

/** @param {import("./lab.js").Lab} lab */
export function startProgram(lab) {
  const panel = document.getElementById("panel-program");
  const form = document.getElementById("program-form");
  const editor = new Editor(form.querySelector("textarea"));
  const choice = form.querySelector("select[name=vm]");
  const drafts = new Map();
  let loaded = choice.value;

  let actions = 0;

  const switchTo = async (name) => {
    if (loaded !== name) drafts.set(loaded, editor.text);
    loaded = name;
    choice.value = name;
    editor.text = drafts.get(name) ?? (await fetchSource(lab, name));
    showDiagnostics(form, editor, []);
    setText(document.getElementById("program-done"), "");
  };
  choice.addEventListener("change", () => switchTo(choice.value));
  panel.addEventListener("shown", () => editor.upgrade());
  let asked = false;
  panel.addEventListener("shown", () => (asked ||= Boolean(choice.value) && (switchTo(choice.value), true)));
  form.querySelector("#program-revert").addEventListener("click", async () => {
    editor.text = await fetchSource(lab, loaded);
    drafts.delete(loaded);
    showDiagnostics(form, editor, []);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    assemble(lab, form, editor, loaded);
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
    // Fewer actions than before: the lab was started over, with the programs of the lesson.
    if (lab.state.actions < actions) (drafts.clear(), switchTo(loaded));
    actions = lab.state.actions;
  });
}

async function fetchSource(lab, name) {
  const response = await fetch(`${lab.url}/program?vm=${encodeURIComponent(name)}`, {
    headers: { Accept: "application/json" },
  }).catch(() => null);
  return response?.ok ? ((await response.json()).source ?? "") : "";
}

async function assemble(lab, form, editor, name) {
  const button = form.querySelector("button[type=submit]");
  const done = document.getElementById("program-done");
  button.setAttribute("aria-busy", "true");
  setText(done, "");
  try {
    lab.takeState((await ask(`${lab.url}/program`, { vm: name, source: editor.text })).state);
    if (OFF.has(lab.vm(name)?.state))
      lab.takeState((await ask(`${lab.url}/actions`, { verb: "start", vm: name })).state);
    clearMessage();
    showDiagnostics(form, editor, []);
    setText(done, `Assembled; VM ${name} started with it.`);
  } catch (failure) {
    if (!(failure instanceof Refused)) throw failure;
    showDiagnostics(form, editor, failure.error.diagnostics ?? [], failure.error);
  } finally {
    button.removeAttribute("aria-busy");
  }
}

/** List the errors under the editor, each with a button that goes there, and mark them in the text. */
function showDiagnostics(form, editor, diagnostics, error = null) {
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
        `line ${diagnostic.line}, column ${diagnostic.column}`,
      ),
      h("span", {}, ...sentence(diagnostic.message)),
      diagnostic.hint ? h("span", { class: "hint" }, diagnostic.hint) : null,
    ),
  );
  place.replaceChildren(
    h(
      "div",
      { class: "message" },
      h("h3", {}, error.title || "This program does not assemble"),
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
  editor.standAt(lines);
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

  standAt(lines) {
    this.view?.standAt(lines);
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
