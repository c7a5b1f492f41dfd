// The author's page of `vmlab preview`: an editor for each file, saved a moment after the last key; what the lesson shows,
// its faults, and trials. Data: /edit/files, /edit/files/<name>, /edit/shown (HTML), /edit/trial (stream), /changes.
import { StreamLanguage } from "@codemirror/language";
import { EditorView } from "@codemirror/view";
import { openEditor } from "./editor.js";
import { h, setText } from "./element.js";
import { startTabs } from "./tabs.js";
import { _ } from "./text.js";

const REST_MS = 700;
const SHOWN_FAULTS = 50;
const element = (id) => document.getElementById(id);

/** Lessons and steps: headings, fences, keys and what takes a student's value. */
const prose = StreamLanguage.define({
  name: "lesson",
  token(stream) {
    if (stream.sol() && stream.match(/^(#{1,6} |```|---).*/)) return "keyword";
    if (stream.match(/^\{\{.*?\}\}/)) return "meta";
    if (stream.match(/^#.*/)) return "comment";
    if (stream.match(/^[\w-]+:(?=\s|$)/)) return "labelName";
    if (stream.match(/^`[^`]*`/)) return "string";
    stream.next();
    return null;
  },
});

/** Ask the server; throws with its sentence, `status` 409 where somebody else has written the file. */
async function request(url, method = "GET", fields = null) {
  const options = fields ? { body: JSON.stringify(fields), headers: { "Content-Type": "application/json" } } : {};
  const response = await fetch(url, { method, ...options });
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  throw Object.assign(new Error(answer.error?.message || response.statusText), { status: response.status });
}

const path = (name) => `/edit/files/${name.split("/").map(encodeURIComponent).join("/")}`;

/** One file: its editor, and the version on disk that it came from. */
class File {
  constructor(desk, name) {
    Object.assign(this, { desk, name, digest: "", saved: "", timer: 0 });
    this.area = h("textarea", { "aria-label": name, id: `file-${name}`, hidden: true });
    this.host = h("div", { class: "file", hidden: true }, h("label", { for: this.area.id, class: "unseen" }, name), this.area);
    this.host.style.height = "100%";
  }

  async open() {
    Object.assign(this, await this.fresh());
    this.area.value = this.saved;
    element("file-panel").append(this.host);
    this.editor = openEditor(this.area, /\.(s|c|h)$/.test(this.name) ? undefined : [prose, EditorView.lineWrapping]);
    this.host.addEventListener("input", () => this.touched());
    this.host.addEventListener("keyup", () => this.touched());
  }

  async fresh() {
    const { text, digest } = await request(path(this.name));
    return { saved: text, digest };
  }

  get changed() {
    return this.editor && this.editor.text() !== this.saved;
  }

  touched() {
    clearTimeout(this.timer);
    if (!this.changed) return;
    this.desk.say(_("Not saved yet"));
    this.timer = setTimeout(() => this.save(), REST_MS);
  }

  async save(digest = this.digest) {
    clearTimeout(this.timer);
    const text = this.editor.text();
    try {
      const answer = await request(path(this.name), "PUT", { text, digest });
      Object.assign(this, { saved: text, digest: answer.digest });
      this.desk.took(answer);
      this.desk.say(_("Saved"));
    } catch (error) {
      this.desk.refuse(error, this);
    }
  }

  /** Take what is on disk, unless something is unsaved here. */
  async follow() {
    const { saved, digest } = await this.fresh();
    if (digest === this.digest || this.changed) return;
    this.take(saved, digest);
  }

  take(text, digest) {
    Object.assign(this, { saved: text, digest });
    this.editor.setText(text);
  }
}

class Desk {
  constructor() {
    this.files = new Map();
    this.faults = [];
    this.current = null;
  }

  async start() {
    startTabs(element("file-tabs"));
    element("file-tabs").addEventListener("click", (event) => {
      const tab = event.target.closest("[role=tab]");
      if (tab) this.open(tab.dataset.name);
    });
    element("new-file").addEventListener("submit", (event) => this.create(event));
    element("delete-file").addEventListener("click", () => this.remove());
    element("shown-form").addEventListener("change", () => this.show());
    element("shown-form").addEventListener("submit", (event) => event.preventDefault());
    element("next-student").addEventListener("click", () => {
      const { seed } = element("shown-form").elements;
      seed.value = String((Number.parseInt(seed.value, 10) || 0) + 1);
      this.show();
    });
    element("trial-form").addEventListener("submit", (event) => this.tryOut(event));
    addEventListener("keydown", (event) => {
      if (event.key !== "s" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      this.current?.save();
    });
    addEventListener("beforeunload", (event) => [...this.files.values()].some((file) => file.changed) && event.preventDefault());
    this.took(await request("/edit/files"));
    await this.open(this.names[0]);
    this.watch("");
  }

  say(text) {
    setText(element("saved"), text);
  }

  /** Take the names and faults of an answer. */
  took({ files, faults }) {
    this.names = files;
    this.faults = faults;
    const tabs = files.map((name) =>
      h("button", { type: "button", role: "tab", dataset: { name }, "aria-controls": "file-panel", "aria-selected": "false" }, name),
    );
    if (tabs.map((tab) => tab.dataset.name).join() !== [...element("file-tabs").children].map((tab) => tab.dataset.name).join())
      element("file-tabs").replaceChildren(...tabs);
    this.drawTabs();
    this.drawFaults();
    this.show();
  }

  drawTabs() {
    for (const tab of element("file-tabs").children) {
      const mine = tab.dataset.name === this.current?.name;
      tab.setAttribute("aria-selected", String(mine));
      tab.tabIndex = mine ? 0 : -1;
    }
  }

  drawFaults() {
    const list = element("faults");
    list.replaceChildren(
      ...this.faults.slice(0, SHOWN_FAULTS).map((fault) =>
        h("li", {}, h("button", { type: "button", class: "plain", onclick: () => this.goto(fault) }, `${fault.file}${fault.line ? `:${fault.line}` : ""}: ${fault.message}`)),
      ),
    );
    if (!this.faults.length) list.append(h("li", { class: "quiet" }, _("Nothing: the lesson can be read and taught. Test it, too.")));
    for (const file of this.files.values())
      file.editor?.mark(this.faults.filter((fault) => fault.file === file.name && fault.line).map((fault) => ({ ...fault, length: 0, hint: "" })));
  }

  async goto(fault) {
    if (!this.names.includes(fault.file)) return;
    await this.open(fault.file);
    this.current.editor.goto(fault.line || 1, fault.column || 1);
  }

  async open(name) {
    if (!this.files.has(name)) {
      const file = new File(this, name);
      this.files.set(name, file);
      await file.open();
    }
    this.current = this.files.get(name);
    for (const file of this.files.values()) file.host.hidden = file !== this.current;
    this.drawTabs();
    this.drawFaults();
  }

  async create(event) {
    event.preventDefault();
    const field = event.target.elements.name;
    try {
      this.took(await request(path(field.value.trim()), "PUT", { text: "", digest: "" }));
      await this.open(field.value.trim());
      field.value = "";
      this.clear();
    } catch (error) {
      this.refuse(error);
    }
  }

  async remove() {
    const file = this.current;
    try {
      const text = file.editor.text();
      this.took(await request(path(file.name), "DELETE", { digest: file.digest }));
      this.drop(file);
      await this.open(this.names[0]);
      this.tell(_("{name} is deleted.", { name: file.name }), _("Undo"), async () => {
        this.took(await request(path(file.name), "PUT", { text, digest: "" }));
        await this.open(file.name);
      });
    } catch (error) {
      this.refuse(error);
    }
  }

  drop(file) {
    file.host.remove();
    this.files.delete(file.name);
  }

  clear() {
    element("author-message").replaceChildren();
  }

  /** Say something that offers something else. */
  tell(text, ...offers) {
    const buttons = [];
    for (let at = 0; at < offers.length; at += 2)
      buttons.push(h("button", { type: "button", class: "small", onclick: () => (this.clear(), offers[at + 1]()) }, offers[at]));
    element("author-message").replaceChildren(h("div", { class: "message" }, h("p", {}, text), ...buttons));
  }

  refuse(error, file = null) {
    this.say(_("Not saved"));
    if (error.status !== 409 || !file) return this.tell(error.message, _("Dismiss"), () => {});
    this.tell(
      error.message,
      _("Take the other version"),
      async () => {
        const { saved, digest } = await file.fresh();
        file.take(saved, digest);
      },
      _("Keep mine"),
      async () => file.save((await file.fresh().catch(() => ({ digest: "" }))).digest),
    );
  }

  async show() {
    const form = new FormData(element("shown-form"));
    const response = await fetch(`/edit/shown?${new URLSearchParams(form)}`).catch(() => null);
    if (response?.ok) element("shown").innerHTML = await response.text();
  }

  /** Follow what other editors save. */
  watch(stamp) {
    const source = new EventSource(`/changes?stamp=${stamp}`);
    source.addEventListener("changed", async (event) => {
      source.close();
      this.took(await request("/edit/files"));
      for (const file of this.files.values()) await file.follow().catch(() => {});
      this.watch(event.data);
    });
    source.addEventListener("error", () => this.say(_("vmlab preview has stopped; what you write is not saved.")));
    source.addEventListener("open", () => this.say(""));
  }

  tryOut(event) {
    event.preventDefault();
    const button = event.submitter ?? event.target.querySelector("button");
    const bar = element("trial-progress");
    const log = element("trial");
    button.disabled = true;
    bar.hidden = false;
    bar.value = 0;
    const source = new EventSource(`/edit/trial?seeds=${encodeURIComponent(event.target.elements.seeds.value)}`);
    const end = (text) => {
      source.close();
      button.disabled = false;
      bar.hidden = true;
      log.hidden = false;
      setText(log, text);
    };
    source.addEventListener("progress", ({ data }) => (bar.value = JSON.parse(data).share));
    source.addEventListener("done", ({ data }) => end(JSON.parse(data).lines.join("\n")));
    source.addEventListener("error", () => end(_("The test did not end: vmlab preview has stopped.")));
  }
}

await new Desk().start();
