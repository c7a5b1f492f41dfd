// "Who is running?": a lane per pCPU over virtual time. VMs in their colour, pattern and letter, the hypervisor neutral,
// idle time empty. Data: slices (LaneSlice), clock_hz, number of pCPUs.
import { typeScale, visibleWidth } from "./element.js";
import { drawAxis } from "./axis.js";
import { FONT, letterPlate } from "./canvas_text.js";
import { palette } from "./patterns.js";

const LANE = 34;
const GAP = 6;
const GUTTER = 50;
const AXIS = 22;
const LEAST_SPAN = 1000;

/**
 * Sum a window of time by owner for each pCPU: [{pcpu, key, vm, kind, cycles}], longest first.
 * @param {Iterable<any>} slices
 */
export function shares(slices, from, to) {
  const sums = new Map();
  for (const slice of slices) {
    const cycles = Math.min(to, slice.end_cycles) - Math.max(from, slice.start_cycles);
    if (cycles <= 0) continue;
    const owner = slice.kind === "run" ? slice.vm : slice.kind;
    const key = `${slice.pcpu}/${slice.kind}/${owner}`;
    const sum = sums.get(key) ?? {
      key,
      pcpu: slice.pcpu,
      vm: slice.kind === "run" ? slice.vm : null,
      kind: slice.kind,
      cycles: 0,
    };
    sum.cycles += cycles;
    sums.set(key, sum);
  }
  return [...sums.values()].sort((a, b) => a.pcpu - b.pcpu || b.cycles - a.cycles);
}

export class Lanes {
  /** @param {HTMLCanvasElement} canvas @param {import("./lab.js").Lab} lab */
  constructor(canvas, lab) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.lab = lab;
    this.from = 0;
    this.span = 0;
    this.following = true;
    this.zoomed = false;
    this.cursor = null;
    this.pending = 0;
  }

  ask() {
    this.pending ||= requestAnimationFrame(() => {
      this.pending = 0;
      this.draw();
    });
  }

  /** The furthest pCPU clock. */
  get now() {
    return Math.max(0, ...(this.lab.state?.host?.pcpus ?? []).map((pcpu) => pcpu.clock_cycles));
  }

  get hz() {
    return this.lab.state?.host?.clock_hz ?? 1e8;
  }

  /** The window [from, to] in cycles. Until somebody zooms it holds all that ran, but at most twelve timeslices. */
  window() {
    if (!this.zoomed)
      this.span = Math.max(
        LEAST_SPAN,
        Math.min(this.now * 1.02, ((this.lab.state?.host?.timeslice_ns ?? 1e6) * this.hz * 12) / 1e9),
      );
    if (this.following) this.from = Math.max(0, this.now - this.span);
    return [this.from, this.from + this.span];
  }

  /** Look closer (< 1) or wider (> 1) around the cursor, else around the right edge. */
  zoom(factor) {
    const [from, to] = this.window();
    this.zoomed = true;
    const pivot = this.cursor ?? (this.following ? to : (from + to) / 2);
    const span = Math.min(Math.max(20, this.span * factor), Math.max(LEAST_SPAN, this.now * 1.05));
    this.from = Math.max(0, pivot - ((pivot - from) * span) / this.span);
    this.span = span;
    this.follow(this.from + span >= this.now);
  }

  pan(cycles) {
    this.from = Math.max(0, Math.min(this.now - this.span / 10, this.window()[0] + cycles));
    this.follow(this.from + this.span >= this.now);
  }

  follow(yes) {
    this.following = yes;
    this.ask();
  }

  /** The time under a horizontal position (CSS pixels). */
  timeAt(x) {
    const [from, to] = this.window();
    return from + ((x / this.scale - GUTTER) / (this.width - GUTTER)) * (to - from);
  }

  /** What each pCPU did at a time: [slice or undefined]. */
  slicesAt(cycles) {
    const found = Array.from(this.lab.state?.host?.pcpus ?? [], () => undefined);
    for (const slice of this.lab.slices.values())
      if (slice.start_cycles <= cycles && cycles < slice.end_cycles) found[slice.pcpu] = slice;
    return found;
  }

  draw() {
    const pcpus = this.lab.state?.host?.pcpus.length ?? 0;
    const before = (this.width ?? 0) * (this.scale ?? 1);
    this.scale = typeScale();
    this.width = visibleWidth(this.canvas, before) / this.scale;
    if (!this.width || !pcpus) return;
    const ratio = (window.devicePixelRatio || 1) * this.scale;
    this.height = pcpus * (LANE + GAP) + AXIS;
    this.canvas.width = Math.round(this.width * ratio);
    this.canvas.height = Math.round(this.height * ratio);
    this.canvas.style.width = `${this.width * this.scale}px`;
    this.canvas.style.height = `${this.height * this.scale}px`;
    const { context } = this;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const [from, to] = this.window();
    const place = (cycles) => GUTTER + ((cycles - from) / (to - from)) * (this.width - GUTTER);
    this.drawGrid(pcpus, from, to);
    for (const slice of this.lab.slices.values()) {
      if (slice.end_cycles > from && slice.start_cycles < to)
        this.drawSlice(
          slice,
          Math.max(GUTTER, place(slice.start_cycles)),
          Math.min(this.width, place(slice.end_cycles)),
        );
    }
    this.drawCursor(place);
  }

  drawGrid(pcpus, from, to) {
    const { context } = this;
    const colours = palette();
    context.font = `12px ${FONT}`;
    context.textBaseline = "middle";
    for (let pcpu = 0; pcpu < pcpus; pcpu++) {
      const top = pcpu * (LANE + GAP);
      context.fillStyle = colours.free.css;
      context.fillRect(GUTTER, top, this.width - GUTTER, LANE);
      context.strokeStyle = colours.rule.css;
      context.lineWidth = 1;
      context.strokeRect(GUTTER + 0.5, top + 0.5, this.width - GUTTER - 1, LANE - 1);
      context.fillStyle = colours.inkSoft.css;
      context.textAlign = "left";
      context.fillText(`pCPU ${pcpu}`, 0, top + LANE / 2);
    }
    const y = pcpus * (LANE + GAP) - GAP + 1;
    drawAxis(context, { from, to, hz: this.hz, left: GUTTER, right: this.width, y, tick: GAP + 2, label: GAP + 11 });
  }

  drawSlice(slice, left, right) {
    const { context } = this;
    const colours = palette();
    const top = slice.pcpu * (LANE + GAP);
    const width = right - left;
    if (slice.kind === "idle" || width <= 0) return;
    if (slice.kind === "hypervisor") {
      context.fillStyle = colours.hypervisor.css;
      context.fillRect(left, top, width, LANE);
      return;
    }
    const index = this.lab.vm(slice.vm)?.index ?? 0;
    context.fillStyle = width > 3 ? colours.fill(context, index, 1) : colours.vm(index).solid.css;
    context.fillRect(left, top, width, LANE);
    if (width >= 17) letterPlate(context, index, left + width / 2, top + LANE / 2, 18);
  }

  drawCursor(place) {
    if (this.cursor === null) return;
    const x = Math.round(place(this.cursor)) + 0.5;
    this.context.strokeStyle = palette().ink.css;
    this.context.lineWidth = 1.5;
    this.context.beginPath();
    this.context.moveTo(x, 0);
    this.context.lineTo(x, this.height - AXIS);
    this.context.stroke();
  }
}
