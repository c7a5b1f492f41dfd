// "Who runs next?" in the student's own words: a policy in Python, tried in a worker beside built-in ones, or used in
// this lab while it runs in this browser. What the worker says is data; nothing of it becomes markup.
import { announce } from "./announcer.js";
import { ask, clearMessage, look, Refused } from "./ask.js";
import { Drafts } from "./drafts.js";
import { h, sentence, setText } from "./element.js";
import { three } from "./numbers.js";
import { _ } from "./text.js";

const SILENT_MS = 20_000; // without a word from the worker, which a step is never, it is ended
const POLL_MS = 700;
const NAME_KEY = "vmlab-name";
const ELSEWHERE = _("Used when there are several hosts: a lab has one, so there is no scenario to try it on, and only its reference here.");
const ROW = 20;
const SVG = "http://www.w3.org/2000/svg";
const get = (id) => document.getElementById(id);

/** @param {import("./lab.js").Lab} lab @param {HTMLElement} bench */
export function startPolicy(lab, bench) {
  const panel = get("panel-policy");
  if (!panel) return;
  let tool = null;
  panel.addEventListener("shown", async () => (tool ??= await Tool.open(lab, bench)));
}

class Tool {
  /** Fetch the catalogue and fill the form. */
  static async open(lab, bench) {
    const catalog = await look("/policies/catalog");
    if (!catalog) {
      setText(get("policy-said"), _("The reference could not be fetched. Open this tool again to retry."));
      return null;
    }
    return new Tool(lab, bench, catalog);
  }

  constructor(lab, bench, catalog) {
    this.lab = lab;
    this.parts = JSON.parse(bench.dataset.engine || "null");
    this.interfaces = catalog.interfaces;
    this.scenarios = catalog.scenarios;
    this.drafts = new Drafts(`${lab.url} policies`);
    this.area = get("policy-text");
    get("policy-interface").replaceChildren(
      ...this.interfaces.map((one) => h("option", { value: one.name }, one.title)),
    );
    this.bind();
    this.choose(this.interfaces[0].name);
    this.upgrade();
  }

  bind() {
    get("policy-interface").addEventListener("change", (event) => this.choose(event.target.value));
    get("policy-scenario").addEventListener("change", () => this.tellQuestion());
    get("policy-starter").addEventListener("click", () => this.fill(this.chosen.starter));
    get("policy-use").addEventListener("click", () => this.use());
    this.area.addEventListener("input", () => this.drafts.put(this.chosen.name, this.text, this.chosen.starter));
    get("policy-stop").addEventListener("click", () => this.end(_("Stopped.")));
    get("policy-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.run();
    });
  }

  async upgrade() {
    const { openPython } = await import("./python_editor.js");
    this.view = openPython(this.area);
  }

  get text() {
    return this.view ? this.view.text() : this.area.value;
  }

  fill(text) {
    this.area.value = text;
    this.view?.setText(text);
    this.mark([]);
  }

  choose(name) {
    this.chosen = this.interfaces.find((one) => one.name === name);
    const scenarios = this.scenarios.filter((one) => one.interface === name);
    get("policy-scenario").replaceChildren(
      ...scenarios.map((one) => h("option", { value: one.name }, one.title)),
    );
    // Without a scenario there is nothing to run it on.
    for (const id of ["policy-scenario", "policy-run", "policy-use", "policy-beside"]) get(id).disabled = !this.chosen.used;
    this.tellQuestion();
    const draft = this.drafts.get(name);
    this.fill(draft ?? this.chosen.starter);
    if (draft !== undefined) this.said(_("Your text is back. “Starter” discards it."));
    get("policy-docs").replaceChildren(...docs(this.chosen));
  }

  tellQuestion() {
    const scenario = this.scenarios.find((one) => one.name === get("policy-scenario").value);
    if (!this.chosen.used) {
      get("policy-board").replaceChildren();
      return setText(get("policy-question"), `${this.chosen.question} ${ELSEWHERE}`);
    }
    this.drawBoard();
    return setText(get("policy-question"), `${this.chosen.question} ${scenario?.question ?? ""}`);
  }

  // Trying

  async run() {
    if (!this.parts) return this.said(_("The engine is not part of this installation; run `make assets`."));
    const asked = {
      scenario: get("policy-scenario").value,
      entrants: [
        { name: "yours", text: this.text },
        ...(get("policy-beside").checked ? this.chosen.built_ins : []).map((name) => ({ name: `builtin:${name}` })),
      ],
    };
    this.mark([]);
    this.trials = [];
    get("policy-results").replaceChildren();
    get("policy-running").hidden = false;
    this.said("");
    this.show(_("Starting"), 0);
    try {
      await this.load();
    } catch (error) {
      return this.end(_("The engine could not be started: {message}", { message: error.message }));
    }
    this.worker?.postMessage({ kind: "begin", asked });
    return this.watch();
  }

  load() {
    if (this.worker) return Promise.resolve();
    this.worker = new Worker(this.parts.worker.replace("/worker.js", "/policy-worker.js"), { type: "module" });
    const { base, stamp, archives, image, engine_bytes: bytes } = this.parts;
    return new Promise((done, refuse) => {
      this.worker.onerror = (event) => refuse(new Error(event.message || _("its script did not load")));
      this.worker.onmessage = ({ data }) => {
        if (data.kind === "progress") this.show(_(data.text), data.share);
        else if (data.kind === "loaded") done();
        else if (data.kind === "step") this.take(data);
        else refuse(new Error(data.message)), this.end(data.message);
      };
      this.worker.postMessage({ kind: "load", parts: { base, stamp, archives, image, bytes: bytes ?? this.parts.bytes } });
    });
  }

  take(step) {
    this.watch();
    if (step.share !== undefined) this.show(step.name, step.share);
    if (step.failed) this.finish(step.failed);
    if (step.trial) this.trials.push(step.trial), this.draw();
    if (step.done) this.finish("");
  }

  show(text, share) {
    get("policy-progress").value = share;
    setText(get("policy-step"), `${text}: ${Math.round(share * 100)} %`);
  }

  /** End the worker if it does not say anything for long: a step of the guards never takes so long. */
  watch() {
    clearTimeout(this.timer);
    this.timer = setTimeout(
      () => this.end(_("Ended: one call took more than {seconds} s without a loop that could be counted.", { seconds: SILENT_MS / 1000 })),
      SILENT_MS,
    );
  }

  /** The best of the class, while the instructor shows it. */
  async drawBoard() {
    const board = await look(`/policies/board/${get("policy-scenario").value}`);
    const entries = board?.entries ?? [];
    const place = get("policy-board");
    if (!entries.length) return place.replaceChildren();
    const head = h("h3", {}, _("Best of the class"));
    return place.replaceChildren(head, table(this.chosen.metrics, entries, "policy-board-table"), ...shared(entries));
  }

  finish(text) {
    clearTimeout(this.timer);
    get("policy-running").hidden = true;
    this.said(text);
    const own = this.trials.find((one) => one.own);
    announce("policy", own?.error || _("The tournament is over; the results are below."));
  }

  /** The last resort: the worker is ended, and a new one is started for the next run. */
  end(text) {
    this.worker?.terminate();
    this.worker = null;
    this.trials ??= [];
    this.finish(text);
  }

  said(text) {
    get("policy-said").replaceChildren(...sentence(text));
  }

  draw() {
    const own = this.trials.find((one) => one.own);
    if (own?.error) this.mark([{ line: own.line, message: own.error }]);
    const done = this.trials.filter((one) => !one.error);
    get("policy-results").replaceChildren(
      ...(own?.printed.length ? [h("h3", {}, _("What it printed")), printed(own)] : []),
      ...(done.length ? [plots(this.chosen.metrics, done), table(this.chosen.metrics, done)] : []),
      ...(own?.run ? [this.saving(own)] : []),
    );
  }

  /** What can be done with a run: keep it, or enter it for the class. The text goes along only if its author wants that. */
  saving(own) {
    const share = h("input", { type: "checkbox", id: "policy-share", autocomplete: "off" });
    const name = h("input", { id: "policy-name", maxlength: 30, required: true, autocomplete: "nickname", value: keptName() });
    const run = () => ({ ...(share.checked ? own.run : own.run_without_text), title: this.title() });
    const link = h("a", { href: "#", download: `${own.run.scenario}-run.json` }, _("Save this run"));
    link.addEventListener("click", () => {
      link.href = URL.createObjectURL(new Blob([JSON.stringify(run())], { type: "application/json" }));
    });
    const form = h(
      "form",
      { id: "policy-entry", class: "program-head" },
      h("label", {}, `${_("Your name on the board")} `, name),
      h("label", {}, share, ` ${_("share the text too")}`),
      h("button", { type: "submit" }, _("Enter the class tournament")),
      h("span", { id: "policy-entered", role: "status" }),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.enter(run(), name.value.trim(), form.querySelector("button"));
    });
    const rest = _("anybody can repeat it without running your text (`vmlab tournament --runs`).");
    return h("div", {}, form, h("p", { class: "note" }, link, ": ", ...sentence(rest)));
  }

  /** The server repeats the run, and enters what it measures itself. */
  async enter(run, name, button) {
    const said = get("policy-entered");
    const tell = (text) => said.replaceChildren(...sentence(text));
    button.disabled = true;
    tell(_("The server repeats the run…"));
    try {
      let answer = await ask("/policies/entries", { run, name });
      while (!answer.entered) {
        tell(_("The server repeats the run: {share} %", { share: Math.round(answer.share * 100) }));
        await new Promise((done) => setTimeout(done, POLL_MS));
        answer = await ask(`/policies/entries/${answer.digest}`, {});
      }
      localStorage.setItem(NAME_KEY, name);
      const entered = _("Entered as {name}. Another run takes its place.", { name });
      tell(answer.shown ? entered : `${entered} ${_("The board is not open yet.")}`);
      this.drawBoard();
    } catch (failure) {
      if (!(failure instanceof Refused)) throw failure;
      tell(_("Not entered: {message} {remedy}", { message: failure.error.message, remedy: failure.error.remedy }));
    } finally {
      button.disabled = false;
    }
  }

  title() {
    return /class\s+(\w+)/.exec(this.text)?.[1].slice(0, 60) ?? "policy";
  }

  // Mistakes

  mark(diagnostics) {
    this.view?.mark(diagnostics.filter((one) => one.line).map((one) => ({ column: 1, length: 400, ...one })));
    const items = diagnostics.map((one) =>
      h(
        "div",
        { class: "message" },
        h("h3", {}, _("This policy made a mistake")),
        h("p", {}, ...sentence(one.message)),
        h("p", { class: "quiet" }, _("The lab is as it was before the call.")),
        one.line
          ? h("button", { type: "button", class: "small", onclick: () => this.view?.goto(one.line, 1) }, _("Go to line {line}", { line: one.line }))
          : null,
      ),
    );
    get("policy-errors").replaceChildren(...items);
  }

  // In this lab

  async use() {
    this.mark([]);
    try {
      const fields = { verb: "set_policy", interface: this.chosen.name, text: this.text };
      this.lab.takeState((await ask(`${this.lab.url}/actions`, fields)).state);
      clearMessage();
      this.said(_("Used in this lab from now on, for {title}.", { title: this.chosen.title }));
    } catch (failure) {
      if (!(failure instanceof Refused)) throw failure;
      const [first] = failure.error.diagnostics ?? [];
      if (first) this.mark([{ ...first, message: failure.error.message }]);
      else this.said(failure.error.message);
    }
  }
}

const keptName = () => localStorage.getItem(NAME_KEY) ?? "";

/** The policies whose authors share them. */
function shared(entries) {
  const open = entries.filter((one) => one.text);
  return open.map((one) => h("details", {}, h("summary", {}, _("The policy of {name}", { name: one.name })), h("pre", { class: "policy-printed", tabindex: 0 }, one.text)));
}

const printed = (own) => h("pre", { class: "policy-printed", tabindex: 0 }, own.printed.join("\n"));

/** The reference: what it is asked, what it is told, what it is given. */
function docs(one) {
  const text = (words) => words.split("\n\n").map((one) => h("p", {}, ...sentence(one.replaceAll("\n", " "))));
  const method = (item) => [h("h4", {}, item.signature), ...text(item.text)];
  const group = (title, role) => {
    const items = one.base.methods.filter((item) => item.role === role);
    return items.length ? [h("h3", {}, title), ...items.flatMap(method)] : [];
  };
  return [
    ...text(one.base.text),
    ...group(_("You are asked"), "answer"),
    ...group(_("You are told"), "notice"),
    ...one.classes.flatMap((item) => [
      h("h3", {}, item.name),
      ...text(item.text),
      ...(item.fields.length ? [h("p", {}, ...item.fields.flatMap((field) => [h("code", {}, field), h("br")]))] : []),
      ...item.methods.flatMap(method),
    ]),
  ];
}

/** One small plot of bars for each metric. The table is its equal in text. */
function plots(metrics, trials) {
  return h("div", { class: "policy-plots", "aria-hidden": "true" }, ...metrics.map((metric) => plot(metric, trials)));
}

function plot(metric, trials) {
  const most = Math.max(...trials.map((one) => one.values[metric.name])) || 1;
  const rows = trials.map((one, index) => {
    const value = one.values[metric.name];
    const width = Math.max(1, (110 * value) / most);
    return svg(
      "g",
      { class: one.own ? "own" : "", transform: `translate(0 ${index * ROW})` },
      svg("text", { x: 0, y: 14 }, short(one.name)),
      svg("rect", { x: 95, y: 4, width, height: 12 }),
      svg("text", { x: 100 + width, y: 14 }, three(value)),
    );
  });
  const best = metric.better === "more" ? _("more is better") : _("less is better");
  const better = metric.unit ? `${best}, ${metric.unit}` : best;
  return h(
    "div",
    {},
    h("h4", {}, metric.title),
    h("p", { class: "note" }, better),
    svg("svg", { viewBox: `0 0 260 ${trials.length * ROW + 4}` }, ...rows),
  );
}

function svg(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const short = (name) => name.replace("builtin:", "");

function table(metrics, trials, id = "policy-table") {
  const best = (metric) => {
    const values = trials.map((one) => one.values[metric.name]);
    return metric.better === "more" ? Math.max(...values) : Math.min(...values);
  };
  const cell = (one, metric) => {
    const value = one.values[metric.name];
    const wins = value === best(metric);
    return h("td", { class: "number", title: String(value) }, wins ? h("strong", {}, three(value)) : three(value));
  };
  const head = metrics.map((one) => h("th", { scope: "col", class: "number" }, one.unit ? `${one.title} [${one.unit}]` : one.title));
  return h(
    "div",
    { class: "wide", tabindex: 0, role: "region", "aria-label": id === "policy-table" ? _("Results of the tournament") : _("Best of the class") },
    h(
      "table",
      { id },
      h("caption", { class: "unseen" }, _("Results; the best of each column is bold")),
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, _("Policy")), ...head)),
      h(
        "tbody",
        {},
        ...trials.map((one) => h("tr", {}, h("th", { scope: "row" }, short(one.name)), ...metrics.map((metric) => cell(one, metric)))),
      ),
    ),
  );
}
