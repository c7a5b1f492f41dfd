// "How do they fare over time?": plots of what is sampled in virtual time, each with a cursor for the keyboard and a
// table, and the alarms of rules. Data: GET series (only while this tool is shown, at most once a second; only what is new).
import { look } from "./ask.js";
import { h, setText } from "./element.js";
import { badge } from "./frame_readout.js";
import * as numbers from "./numbers.js";
import { onTheme } from "./patterns.js";
import { told } from "./sentences.js";
import { _, n_ } from "./text.js";

const KEPT = 1000; // as many samples as the lab keeps
const EVERY_MS = 1000;
const ALARMS_KEPT = 100;
const KEY = "vmlab.plots";
const percent = (value) => `${numbers.three(value)} %`;
const rate = (value) => `${numbers.count(value < 1000 ? Number(numbers.three(value).replace("\u2212", "-")) : value)}/s`;
const bytes = (value) => numbers.size(value);
const byteRate = (value) => `${numbers.size(value)}/s`;

/** @type {{signal: string, question: string, label: string, write: (value: number) => string, most?: number, binary?: boolean}[]} */
const PLOTS = [
  { signal: "pcpu", question: _("How busy are the pCPUs?"), label: _("utilisation"), write: percent, most: 100 },
  { signal: "cpu", question: _("Who holds the pCPUs?"), label: _("pCPU time"), write: percent },
  { signal: "ready", question: _("Who waits for a pCPU?"), label: _("ready (steal) time"), write: percent },
  { signal: "exits", question: _("How often do they exit?"), label: _("exits"), write: rate },
  { signal: "overhead", question: _("How much time do exits take?"), label: _("time of exits"), write: percent },
  { signal: "instructions", question: _("How fast do they run?"), label: _("instructions"), write: rate },
  { signal: "resident", question: _("How much memory has frames?"), label: _("resident memory"), write: bytes, binary: true },
  { signal: "working-set", question: _("How much memory do they use?"), label: _("working set"), write: bytes, binary: true },
  { signal: "balloon", question: _("How much have they given back?"), label: _("balloons"), write: bytes, binary: true },
  { signal: "host-free", question: _("How much host memory is free?"), label: _("free memory"), write: bytes, binary: true },
  { signal: "read", question: _("What do they read from disk?"), label: _("disk reads"), write: byteRate, binary: true },
  { signal: "written", question: _("What do they write to disk?"), label: _("disk writes"), write: byteRate, binary: true },
  { signal: "frames", question: _("How many frames cross the network?"), label: _("network frames"), write: rate },
];
const AT_FIRST = ["pcpu", "ready", "exits", "resident"];

/** @param {import("./lab.js").Lab} lab */
export function startMetrics(lab) {
  const panel = document.getElementById("panel-metrics");
  const tool = new Metrics(lab, panel);
  let timer = 0;
  let seen = -1;
  const soon = () => {
    const now = lab.state?.now_ns ?? 0;
    if (panel.hidden || timer || now === seen) return;
    timer = setTimeout(async () => {
      seen = lab.state?.now_ns ?? 0;
      await tool.update();
      timer = 0;
      soon();
    }, EVERY_MS);
  };
  lab.on("state", soon);
  panel.addEventListener("shown", () => tool.open());
  onTheme(() => tool.rebuild());
}

class Metrics {
  constructor(lab, panel) {
    this.lab = lab;
    this.panel = panel;
    this.place = document.getElementById("plots");
    /** @type {Map<string, any>} signal -> Plot */
    this.plots = new Map();
    /** Alarms, newest last: the page's log keeps fewer events than there are exits. */
    this.alarms = [];
    lab.on("events", ({ events, full }) => {
      const fresh = events.filter((event) => event.kind === "alarm");
      this.alarms = [...(full ? [] : this.alarms), ...fresh].slice(-ALARMS_KEPT);
    });
    this.forget();
    this.chosen = new Set(JSON.parse(localStorage.getItem(KEY) ?? "null") ?? AT_FIRST);
    this.drawChoice();
  }

  forget() {
    this.at = [];
    /** @type {Map<string, Map<string, (number|null)[]>>} signal -> whose -> values */
    this.series = new Map();
  }

  drawChoice() {
    document.getElementById("metrics-plots").append(
      ...PLOTS.map(({ signal, label }) =>
        h("label", {}, h("input", { type: "checkbox", value: signal, checked: this.chosen.has(signal) }), ` ${label}`),
      ),
    );
    document.getElementById("metrics-plots").addEventListener("change", ({ target }) => {
      this.chosen[target.checked ? "add" : "delete"](target.value);
      localStorage.setItem(KEY, JSON.stringify([...this.chosen]));
      this.open();
    });
  }

  /** Load the drawing code, and everything that is chosen from the first sample that is kept. */
  async open() {
    this.Plot ??= (await import("./plot.js")).Plot;
    this.forget();
    await this.update();
  }

  get shown() {
    return PLOTS.filter(({ signal }) => this.chosen.has(signal));
  }

  /** Ask for what is new. After the lab went back, or began again, everything is. */
  async update() {
    if (this.panel.hidden || !this.Plot) return;
    if (this.at.length && (this.lab.state?.now_ns ?? 0) < this.at.at(-1)) this.forget();
    const since = this.at.length ? `&since=${this.at.at(-1)}` : "";
    const signals = this.shown.map(({ signal }) => signal).join(",") || "pcpu";
    const found = await look(`${this.lab.url}/series?signals=${signals}${since}`);
    if (!found) return;
    this.take(found);
    this.draw();
    drawAlarms(this.lab, found, this.alarms);
  }

  take({ at_ns, series }) {
    const before = this.at.length;
    this.at.push(...at_ns);
    for (const [signal, by] of Object.entries(series)) {
      if (!this.series.has(signal)) this.series.set(signal, new Map());
      const mine = this.series.get(signal);
      for (const who of Object.keys(by)) if (!mine.has(who)) mine.set(who, Array(before).fill(null));
      for (const [who, values] of mine) values.push(...(by[who] ?? Array(at_ns.length).fill(null)));
    }
    const spare = this.at.length - KEPT;
    if (spare <= 0) return;
    this.at.splice(0, spare);
    for (const mine of this.series.values()) for (const values of mine.values()) values.splice(0, spare);
  }

  draw() {
    const any = this.at.length > 0;
    document.getElementById("no-metrics").hidden = any;
    const wanted = any ? this.shown : [];
    for (const [signal, plot] of this.plots) {
      if (wanted.some((one) => one.signal === signal)) continue;
      plot.remove();
      this.plots.delete(signal);
    }
    for (const [place, kind] of wanted.entries()) {
      const plot = this.plots.get(kind.signal) ?? new this.Plot(kind, this.place);
      this.plots.set(kind.signal, plot);
      if (this.place.children[place] !== plot.element) this.place.insertBefore(plot.element, this.place.children[place]);
      plot.show(this.at, this.lines(kind.signal), this.marks());
    }
  }

  /** Who has values, as lines in the order of the page: VMs in their colours, pCPUs and the host in ink. */
  lines(signal) {
    const lines = [...(this.series.get(signal) ?? [])].map(([who, values]) => {
      const vm = signal === "pcpu" || who === "host" ? undefined : this.lab.vm(who);
      const name = signal === "pcpu" ? `pCPU ${who}` : who === "host" ? _("host") : `VM ${who}`;
      return { who, name, index: vm?.index ?? null, place: Number(who) || 0, values };
    });
    return lines.sort((one, other) => (one.index ?? one.place) - (other.index ?? other.place));
  }

  /** The instants at which an alarm was raised. */
  marks() {
    return this.alarms.filter(({ reason }) => reason === "raised").map((one) => one.at_ns);
  }

  rebuild() {
    for (const plot of this.plots.values()) plot.remove();
    this.plots.clear();
    if (this.at.length && !this.panel.hidden) this.draw();
  }
}

function drawAlarms(lab, { alarms, rules }, events) {
  setText(document.getElementById("alarm-count"), alarms.length ? _("{n} up", { n: alarms.length }) : "");
  const up = rules
    .map(({ name, when }) => ({ name, when, vms: alarms.filter(([rule]) => rule === name).map(([, vm]) => vm) }))
    .filter(({ vms }) => vms.length)
    .map(({ name, when, vms }) => h("li", {}, h("b", {}, _("Alarm {name}", { name })), ` (${when}) ${_("is up for")} `, ...who(lab, vms)));
  const past = events
    .slice(-3)
    .reverse()
    .map((event) => h("li", { class: "quiet" }, h("time", {}, numbers.time(event.at_ns)), " ", _(event.reason), ": ", told(event.text)));
  const none = rules.length
    ? n_("No alarm is up; {rules} is watched.", "No alarm is up; {rules} are watched.", rules.length, { rules: rules.map((rule) => `${rule.name} (${rule.when})`).join(", ") })
    : `${_("No rule watches. Write some under rules: in the text of the configuration, like")} {name: starved, when: "ready > 10 %", for: 100 ms}.`;
  document
    .getElementById("metrics-alarms")
    .replaceChildren(
      up.length ? "" : h("p", { class: "note" }, none),
      up.length || past.length ? h("ul", {}, ...up, ...past) : "",
    );
}

const who = (lab, names) =>
  names.flatMap((name, place) => [place ? ", " : "VM ", lab.vm(name) ? badge(lab.vm(name).index) : null, ` ${name}`]);
