// Where a lab stands on the timeline's axis, and how far its history reaches. A time is the mean of the pCPUs' clocks in cycles;
// a position is the lab's name of an instant (timeline_data.js, `timeOf`). Data: state.host, state.run, state.position.
import { positionOf, timeOf } from "./timeline_data.js";

const LEAST_END = 1000; // cycles of axis for a lab that has not run yet
const TRAVELS = new Set(["seeking", "rebuilding"]); // nothing can be asked for on the way

export class LabClock {
  /** @param {import("./lab.js").Lab} lab @param {import("./timeline_source.js").TimelineSource} source */
  constructor(lab, source) {
    this.lab = lab;
    this.source = source;
  }

  /** The clocks, as they are in the newest state. */
  get host() {
    const pcpus = this.lab.state?.host?.pcpus ?? [];
    const clocks = pcpus.map((pcpu) => pcpu.clock_cycles);
    const sum = clocks.reduce((all, clock) => all + clock, 0);
    const position = this.lab.state?.position ?? 0;
    return { pcpus: Math.max(1, pcpus.length), clocks, base_position: position - sum, position };
  }

  get hz() {
    return this.lab.state?.host?.clock_hz ?? 1e8;
  }

  get running() {
    const run = this.lab.state?.run;
    return (run?.mode === "running" || run?.mode === "until") && !run.waiting;
  }

  /** Whether the lab is on its way to another instant. */
  get travelling() {
    return TRAVELS.has(this.lab.state?.run?.mode);
  }

  /** Where the lab stands, as a time; while it runs, where it stood when the window was told. */
  get now() {
    const told = this.source.view.host;
    const host = this.running && told ? told : this.host;
    return timeOf(host, host.position);
  }

  /** How far its history reaches. */
  get present() {
    if (this.running && !this.lab.state.run.behind) return this.now;
    return Math.max(this.now, timeOf(this.host, this.lab.state?.run?.present ?? 0));
  }

  /** Where the axis ends. */
  get end() {
    return Math.max(this.present, ...(this.running ? [] : this.host.clocks), LEAST_END);
  }

  /** Whether nothing has run yet. */
  get blank() {
    return this.end <= LEAST_END;
  }

  /** The nearest time on the axis. */
  within(time) {
    return Math.min(Math.max(0, time), this.end);
  }

  timeOf(position) {
    return timeOf(this.host, position);
  }

  positionOf(time) {
    return positionOf(this.host, time);
  }

  /** The position nearest to a time at which the lab has been. */
  reached(time) {
    const position = this.positionOf(Math.min(Math.max(0, time), this.present));
    return Math.max(0, Math.min(position, this.lab.state.run?.present ?? this.host.position));
  }
}
