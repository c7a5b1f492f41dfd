// What the timeline is drawn from, and how it is asked for: GET timeline (any window, in about as many pieces as can be
// drawn), trace (single instructions), series (metrics). While the lab runs, only what is new is asked for.
import { Refused, fetchJson, look } from "./ask.js";
import { joinWindows, takeWindow } from "./timeline_data.js";

export const TRACED_SPAN = 400;
const SERIES_MS = 1000;
const PIECES = 9000; // of all lanes in one answer, about
const COARSER = 1.6; // how much coarser a window has to be before all of it is asked for again
const SIGNALS = ["ready", "exits"];
const empty = { pcpus: [], vcpus: [], owners: [], events: [], actions: [], prints: [], from: 0, to: 1, first_cycles: 0 };

export class TimelineSource {
  /** @param {import("./lab.js").Lab} lab */
  constructor(lab) {
    this.lab = lab;
    this.series = { at: [] };
    this.forget();
  }

  /** Know nothing of the past. */
  forget() {
    Object.assign(this, { view: empty, steps: null, untraced: "", joins: null });
  }

  get blank() {
    return this.view === empty;
  }

  /** What is here was told before the lab went elsewhere: nothing may be put behind it. */
  part() {
    this.joins = null;
  }

  /**
   * Ask for what a window needs. `width`: CSS pixels; `all`: whether the window is all there is; `rows`: names of rows shown.
   * @param {{from: number, to: number, width: number, running: boolean, all: boolean, rows: Set<string>}} wanted
   */
  async ask(wanted) {
    await this.askWindow(wanted);
    await Promise.all([this.askSeries(wanted.rows), this.askSteps(wanted)]);
  }

  async askWindow({ from, to, width, running, all }) {
    const margin = all || running ? 0 : (to - from) / 4;
    const first = Math.max(0, Math.floor(from - margin));
    const last = Math.max(first + 1, Math.ceil(to + margin));
    const lanes = Math.max(4, this.view.pcpus.length + this.view.vcpus.length);
    const pieces = Math.round(Math.max(50, Math.min(width / 3, PIECES / lanes)) * (running ? 0.35 : 1.5));
    const step = Math.max(1, Math.floor((last - first) / pieces));
    if (running && (await this.askMore(first, last, step))) return;
    const joins = running ? { step } : null;
    const view = await this.window(first, last, pieces);
    if (view) Object.assign(this, { view: takeWindow(view), joins });
  }

  /** Ask for what came since the last answer, and put it behind that; return whether that could be done. */
  async askMore(first, last, step) {
    const { joins, view } = this;
    if (!joins || first < view.from || step > joins.step * COARSER || step * COARSER < joins.step) return false;
    const { clocks_cycles, quantum_cycles } = view.host;
    const since = Math.max(first, Math.min(...clocks_cycles) - quantum_cycles);
    if (since > last || 2 * (last - since) > last - first) return false;
    const answer = await this.window(since, last, Math.ceil((last - since) / joins.step));
    const joined = answer && this.joins === joins && joinWindows(view, answer, since, first);
    if (joined) this.view = joined;
    return Boolean(joined);
  }

  window(from, to, width) {
    return look(`${this.lab.url}/timeline?from=${from}&to=${to}&width=${width}`);
  }

  async askSteps({ from, to, running }) {
    if (to - from > TRACED_SPAN || running) {
      this.steps = null;
      return;
    }
    const first = Math.max(0, Math.floor(from));
    try {
      this.steps = await fetchJson(`${this.lab.url}/trace?from=${first}&to=${Math.ceil(to)}`);
      this.untraced = "";
    } catch (failure) {
      if (!(failure instanceof Refused)) throw failure;
      this.steps = null;
      this.untraced = failure.error.message;
    }
  }

  async askSeries(rows) {
    if (!SIGNALS.some((signal) => rows.has(signal))) return;
    const now = performance.now();
    if (now - (this.seriesAt ?? -1e9) < SERIES_MS) return;
    this.seriesAt = now;
    if ((this.lab.state.now_ns ?? 0) < (this.samples?.at(-1) ?? 0)) this.samples = null;
    const since = this.samples?.length ? `&since=${this.samples.at(-1)}` : "";
    const found = await look(`${this.lab.url}/series?signals=${SIGNALS.join()}${since}`);
    if (found?.at_ns.length) this.takeSeries(found);
  }

  /** Put new samples behind those that are there. */
  takeSeries({ at_ns, series }) {
    const before = this.samples?.length ?? 0;
    const hz = this.lab.state.host?.clock_hz ?? 1e8;
    if (!before) this.series = { at: [], ready: [], exits: [] };
    this.samples = [...(this.samples ?? []), ...at_ns];
    this.series.at = this.samples.map((ns) => (ns * hz) / 1e9);
    for (const signal of SIGNALS) {
      const lines = new Map(this.series[signal].map((line) => [line.vm, line]));
      for (const vm of Object.keys(series[signal] ?? {}))
        if (!lines.has(vm)) lines.set(vm, { vm, index: this.lab.vm(vm)?.index ?? 0, values: Array(before).fill(null) });
      for (const [vm, line] of lines) line.values.push(...(series[signal]?.[vm] ?? Array(at_ns.length).fill(null)));
      this.series[signal] = [...lines.values()];
    }
  }
}
