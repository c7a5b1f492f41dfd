// The window of the timeline: the stretch of the past that is looked at. It follows where the lab stands until it is moved.

const LEAST_SPAN = 6; // cycles

export class TimelineWindow {
  /** @param {import("./timeline_clock.js").LabClock} clock */
  constructor(clock) {
    this.clock = clock;
    this.from = 0;
    this.span = 0; // 0: all that there is
    this.following = true;
  }

  /** The times [from, to] at its edges, after it has followed. */
  edges() {
    const { now, end, running } = this.clock;
    const span = this.span ? Math.min(this.span, end * 1.02) : end * 1.03;
    if (this.following) {
      const edge = now + span * 0.02;
      if (this.span && running) this.from = edge - span;
      else if (now < this.from || edge > this.from + span) this.from = edge - span;
    }
    this.from = this.span ? Math.max(-0.02 * span, Math.min(this.from, end - span * 0.1)) : -0.012 * end;
    return [this.from, this.from + span];
  }

  /** Look closer (< 1) or wider (> 1); what is at `pivot` stays where it is. */
  zoom(factor, pivot) {
    const [from, to] = this.edges();
    const { now, end, running } = this.clock;
    const at = Math.min(Math.max(pivot, from), to);
    const span = Math.min(Math.max(LEAST_SPAN, (to - from) * factor), end * 1.02);
    this.span = span >= end ? 0 : span;
    this.from = at - ((at - from) * span) / (to - from);
    this.following = running && at >= now;
  }

  /** Move by so many cycles. */
  pan(cycles) {
    const [from, to] = this.edges();
    this.look(from + cycles, this.span || to - from);
  }

  /** Move, if need be, so that a time is inside. */
  reveal(time) {
    const [from, to] = this.edges();
    if (time < from || time > to) this.look(time - (to - from) / 2, this.span || to - from);
  }

  /** Look at `span` cycles from a time on, wherever the lab stands. */
  look(from, span) {
    Object.assign(this, { from, span, following: false });
  }

  reset() {
    Object.assign(this, { from: 0, span: 0 });
  }

  showAll() {
    this.reset();
    this.following = true;
  }
}
