// The timeline's canvas: pCPUs, vCPUs, what was done and logged, metrics and consoles over one axis of virtual time.
// Data: a window (timeline_data.js), series of metrics, steps of single instructions; what is chosen and pointed at.
import { drawAxis } from "./axis.js";
import { FONT, clippedText } from "./canvas_text.js";
import { typeScale } from "./element.js";
import { palette, vmLetter } from "./patterns.js";
import { _ } from "./text.js";
import { Stripes, drawPcpu, drawVcpu } from "./timeline_lanes.js";
import { AXIS, GAP } from "./timeline_layout.js";
import { drawMarks, markedAt } from "./timeline_marks.js";
import { drawConsole, drawPlot } from "./timeline_signals.js";

const ROWS = { pcpu: drawPcpu, vcpu: drawVcpu, plot: drawPlot, console: drawConsole, actions: drawMarks, events: drawMarks };

export class TimelinePicture {
  /** @param {HTMLCanvasElement} canvas @param {import("./lab.js").Lab} lab */
  constructor(canvas, lab) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.lab = lab;
    this.stripes = new Stripes(this.context);
  }

  forgetColours() {
    this.stripes.forget();
  }

  /** Fit the canvas to its place and to the rows. */
  fit(width, height) {
    const larger = typeScale();
    const ratio = (window.devicePixelRatio || 1) * larger;
    const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.canvas.width !== w || this.canvas.height !== h) {
      this.canvas.width = w;
      this.canvas.height = h;
      this.canvas.style.width = `${width * larger}px`;
      this.canvas.style.height = `${height * larger}px`;
    }
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
  }

  /**
   * Draw everything.
   * @param {any} scene {view, layout, seen, from, to, hz, now, present, clocks, cursor, chosen, steps, series, width}
   */
  draw(scene) {
    this.scene = scene;
    this.drawRows(scene);
    this.keep();
    this.drawLines();
  }

  /** Draw again where only the cursor has moved. */
  moveCursor(cursor) {
    this.scene.cursor = cursor;
    const { context, canvas } = this;
    context.save();
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.drawImage(this.kept, 0, 0);
    context.restore();
    this.drawLines();
  }

  /** Keep what does not move with the cursor. */
  keep() {
    const { width, height } = this.canvas;
    if (this.kept?.width !== width || this.kept?.height !== height) this.kept = new OffscreenCanvas(width, height);
    const copy = this.kept.getContext("2d");
    copy.clearRect(0, 0, width, height);
    copy.drawImage(this.canvas, 0, 0);
  }

  drawRows(scene) {
    const { layout, from, to } = scene;
    this.fit(scene.width, layout.height);
    this.scale = (layout.right - layout.left) / (to - from);
    const { context } = this;
    context.clearRect(0, 0, scene.width, layout.height);
    context.textBaseline = "middle";
    context.font = `12px ${FONT}`;
    const { left, right } = layout;
    drawAxis(context, { from, to, hz: scene.hz, left, right, y: AXIS - 5, tick: 5, label: -9, free: this.place(scene.now) });
    const rows = layout.rows.filter(({ top, height }) => top + height > scene.seen[0] && top < scene.seen[1]);
    for (const row of rows) this.drawLabel(row);
    context.save();
    context.beginPath();
    context.rect(left, 0, right - left, layout.height);
    context.clip();
    for (const row of rows) ROWS[row.kind](this, row);
    this.drawAhead();
    context.restore();
  }

  place(time) {
    return this.scene.layout.left + (time - this.scene.from) * this.scale;
  }

  /** The items of the mark at a point, or none. */
  marked(x, y) {
    return markedAt(this, x, y);
  }

  // The names at the left

  drawLabel(row) {
    const { context } = this;
    const size = row.height < 14 ? 10 : 12;
    context.font = `${size}px ${FONT}`;
    context.textAlign = "left";
    context.fillStyle = palette().ink.css;
    if (row.vm !== undefined) this.drawVmLabel(row, size);
    else clippedText(context, nameOf(row), 0, row.top + row.height / 2, this.scene.layout.left - 6);
  }

  /** A VM's letter in its colour, and which of its vCPUs. */
  drawVmLabel(row, size) {
    const { context } = this;
    const { left, narrow } = this.scene.layout;
    const colours = palette();
    const index = this.lab.vm(row.vm)?.index ?? 0;
    const middle = row.top + row.height / 2;
    const side = Math.min(14, row.height);
    context.fillStyle = colours.vm(index).solid.css;
    context.fillRect(0, middle - side / 2, side, side);
    context.fillStyle = colours.vmInk.css;
    context.textAlign = "center";
    context.font = `650 ${side - 3}px ${FONT}`;
    context.fillText(vmLetter(index), side / 2, middle + 0.5);
    context.font = `${size}px ${FONT}`;
    context.textAlign = "left";
    context.fillStyle = colours.ink.css;
    const name = nameOf(row);
    clippedText(context, narrow || row.kind === "console" ? name : `${row.vm} ${name}`, side + 5, middle + 0.5, left - side - 9);
  }

  // Lines over all rows

  /** What lies ahead of where the lab stands is paler; the clocks of pCPUs are not the same, so each has its own end. */
  drawAhead() {
    const { context, scene } = this;
    const { layout, now, clocks } = scene;
    if (scene.to <= now) return;
    context.save();
    context.globalAlpha = 0.62;
    context.fillStyle = palette().surface.css;
    for (const row of layout.rows) {
      const x = Math.max(layout.left, this.place(row.kind === "pcpu" ? (clocks[row.key] ?? now) : now));
      context.fillRect(x, row.top - 1, layout.right - x, row.height + GAP);
    }
    context.restore();
  }

  drawLines() {
    const { scene } = this;
    const { now, present, cursor } = scene;
    const colours = palette();
    if (present > now) this.line(present, colours.edge.css, [2, 3]);
    if (now >= scene.from && now <= scene.to) {
      this.line(now, colours.focus.css, []);
      this.drawHandle(this.place(now));
    }
    if (cursor !== null && cursor >= scene.from && cursor <= scene.to) this.line(cursor, colours.ink.css, [5, 3]);
  }

  /** What is taken hold of to scrub. */
  drawHandle(x) {
    const { context } = this;
    context.fillStyle = palette().focus.css;
    context.beginPath();
    context.moveTo(x - 7, 2);
    context.lineTo(x + 7, 2);
    context.lineTo(x + 7, 9);
    context.lineTo(x, 17);
    context.lineTo(x - 7, 9);
    context.fill();
  }

  line(time, colour, dashes) {
    const { context, scene } = this;
    const x = Math.round(this.place(time)) + 0.5;
    if (x < scene.layout.left || x > scene.layout.right + 1) return;
    context.strokeStyle = colour;
    context.lineWidth = 1.5;
    context.setLineDash(dashes);
    context.beginPath();
    context.moveTo(x, 16);
    context.lineTo(x, scene.layout.height);
    context.stroke();
    context.setLineDash([]);
  }
}

function nameOf(row) {
  if (row.kind === "pcpu") return `pCPU ${row.key}`;
  if (row.kind === "vcpu") return `vCPU ${row.vcpu}`;
  if (row.kind === "console") return _("prints");
  if (row.kind === "actions") return _("You did");
  if (row.kind === "events") return _("Happened");
  return row.key === "ready" ? _("Waiting") : _("Exits per s");
}
