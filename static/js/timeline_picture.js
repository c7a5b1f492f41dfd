// The timeline's canvas: pCPUs, vCPUs, what was done and logged, metrics and consoles over one axis of virtual time.
// Data: a window (timeline_data.js), series of metrics, steps of single instructions; what is chosen and pointed at.
import { drawAxis } from "./axis.js";
import { typeScale } from "./element.js";
import { palette, vmLetter } from "./patterns.js";
import { _ } from "./text.js";
import { BLOCKED, EXIT, IDLE, OFF, PAUSED, READY, RUN, SHARED, UNKNOWN, isMarked, pcpuCode } from "./timeline_data.js";
import { AXIS, GAP } from "./timeline_layout.js";
import { markText, printable, shape } from "./timeline_marks.js";

const FONT = '"Source Sans 3", sans-serif';
const MONO = '"JetBrains Mono", monospace';
const TOUCH = 12; // pixels around a mark

export class TimelinePicture {
  /** @param {HTMLCanvasElement} canvas @param {import("./lab.js").Lab} lab */
  constructor(canvas, lab) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.lab = lab;
    this.tiles = new Map();
  }

  forgetColours() {
    this.tiles.clear();
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
    drawAxis(context, { from, to, hz: scene.hz, left, right, y: AXIS - 5, tick: 5, label: -9 });
    const rows = layout.rows.filter(({ top, height }) => top + height > scene.seen[0] && top < scene.seen[1]);
    for (const row of rows) this.drawLabel(row);
    context.save();
    context.beginPath();
    context.rect(left, 0, right - left, layout.height);
    context.clip();
    for (const row of rows) this.drawRow(row);
    this.drawAhead();
    context.restore();
  }

  place(time) {
    return this.scene.layout.left + (time - this.scene.from) * this.scale;
  }

  drawRow(row) {
    if (row.kind === "pcpu") this.drawPcpu(row);
    else if (row.kind === "vcpu") this.drawVcpu(row);
    else if (row.kind === "plot") this.drawPlot(row);
    else if (row.kind === "console") this.drawConsole(row);
    else this.drawMarks(row);
  }

  // The names at the left

  drawLabel(row) {
    const { context } = this;
    const { left, narrow } = this.scene.layout;
    const colours = palette();
    const middle = row.top + row.height / 2;
    context.textAlign = "left";
    context.font = `${row.height < 14 ? 10 : 12}px ${FONT}`;
    context.fillStyle = colours.inkSoft.css;
    if (row.kind === "vcpu" || row.kind === "console") {
      const index = this.lab.vm(row.vm)?.index ?? 0;
      const side = Math.min(14, row.height);
      context.fillStyle = colours.vm(index).solid.css;
      context.fillRect(0, middle - side / 2, side, side);
      context.fillStyle = colours.vmInk.css;
      context.textAlign = "center";
      context.font = `650 ${side - 3}px ${FONT}`;
      context.fillText(vmLetter(index), side / 2, middle + 0.5);
      context.font = `${row.height < 14 ? 10 : 12}px ${FONT}`;
      context.textAlign = "left";
      context.fillStyle = colours.ink.css;
      const name = row.kind === "console" ? _("prints") : `vCPU ${row.vcpu}`;
      this.clipped(narrow || row.kind === "console" ? name : `${row.vm} ${name}`, side + 5, middle + 0.5, left - side - 9);
      return;
    }
    context.fillStyle = colours.ink.css;
    this.clipped(this.nameOf(row), 0, middle, left - 6);
  }

  nameOf(row) {
    if (row.kind === "pcpu") return `pCPU ${row.key}`;
    if (row.kind === "actions") return _("You did");
    if (row.kind === "events") return _("Happened");
    return row.key === "ready" ? _("Waiting") : _("Exits per s");
  }

  /** Text in so many pixels, with an ellipsis where it does not fit. */
  clipped(text, x, y, width) {
    const { context } = this;
    if (width < 8) return;
    if (context.measureText(text).width <= width) {
      context.fillText(text, x, y);
      return;
    }
    const letters = Math.max(0, Math.floor((text.length * width) / context.measureText(text).width) - 1);
    if (letters) context.fillText(`${text.slice(0, letters)}\u2026`, x, y);
  }

  // Lanes

  indexOf(owner) {
    return this.lab.vm(this.scene.view.owners[owner]?.[0])?.index ?? 0;
  }

  drawPcpu(row) {
    const { context, scene } = this;
    const colours = palette();
    const { lane, top, height } = row;
    context.fillStyle = colours.free.css;
    context.fillRect(scene.layout.left, top, scene.layout.right - scene.layout.left, height);
    context.strokeStyle = colours.rule.css;
    context.strokeRect(scene.layout.left + 0.5, top + 0.5, scene.layout.right - scene.layout.left - 1, height - 1);
    const steps = scene.steps?.[row.key];
    if (steps?.length) {
      this.drawSteps(row, steps);
      return;
    }
    let before = -1;
    for (let piece = lane.first(scene.from); piece < lane.length && lane.starts[piece] < scene.to; piece++) {
      const left = Math.max(scene.layout.left, this.place(lane.starts[piece]));
      const right = Math.min(scene.layout.right, this.place(lane.ends[piece]));
      const code = lane.codes[piece];
      if (code === SHARED) this.drawShares(row, piece, left, right, (share) => this.pcpuFill(share, right - left));
      else if (code > 0) {
        const { kind, owner } = pcpuCode(code);
        context.fillStyle = this.pcpuFill(code, right - left);
        if (kind === "run") context.fillRect(left, top, Math.max(right - left, 0.7), height);
        else this.drawTick(left, right, row);
        if (kind !== "host" && before >= 0 && owner !== before) this.drawSwitch(left, row);
        if (kind === "run") this.drawLetter(this.indexOf(owner), left, right, row);
        before = owner;
      }
    }
  }

  pcpuFill(code, width) {
    const colours = palette();
    const { kind, owner } = pcpuCode(code);
    if (kind === "idle") return null;
    if (kind !== "run") return colours.hypervisor.css;
    const index = this.indexOf(owner);
    return width > 4 ? colours.fill(this.context, index, 1) : colours.vm(index).solid.css;
  }

  /** An exit: as wide as it was, but never too thin to be seen; a thin one is a tick. */
  drawTick(left, right, { top, height }) {
    const wide = right - left;
    if (wide >= 2) this.context.fillRect(left, top, wide, height);
    else this.context.fillRect(left, top, Math.max(wide, 1), height * 0.45);
  }

  /** A line where another vCPU was loaded. */
  drawSwitch(x, { top, height }) {
    if (this.scale < 0.0005) return;
    this.context.fillStyle = palette().ink.css;
    this.context.fillRect(Math.round(x), top - 1, 1, height + 2);
  }

  /** A piece that several share: as high as their shares, the longest below. */
  drawShares({ lane, top, height }, piece, left, right, fill) {
    const { context } = this;
    const whole = lane.ends[piece] - lane.starts[piece];
    const width = Math.max(right - left, 0.7);
    let bottom = top + height;
    lane.shares(piece, (code, cycles) => {
      const style = fill(code);
      const high = (height * cycles) / whole;
      if (style) {
        context.fillStyle = style;
        context.fillRect(left, bottom - high, width, high);
      }
      bottom -= style ? high : 0;
    });
  }

  drawLetter(index, left, right, { top, height }) {
    if (right - left < 17 || height < 14) return;
    const { context } = this;
    const colours = palette();
    const letter = vmLetter(index);
    const side = Math.min(18, height - 2);
    context.font = `650 ${side - 5}px ${FONT}`;
    const plate = context.measureText(letter).width + 7;
    const middle = (left + right) / 2;
    context.fillStyle = colours.paper.css;
    context.beginPath();
    context.roundRect(middle - plate / 2, top + height / 2 - side / 2, plate, side, 3);
    context.fill();
    context.fillStyle = colours.vm(index).solid.css;
    context.textAlign = "center";
    context.fillText(letter, middle, top + height / 2 + 0.5);
  }

  /** A vCPU: a full bar while it runs, stripes while it waits for a pCPU, a line while it sleeps, nothing while it is off. */
  drawVcpu(row) {
    const { context, scene } = this;
    const { lane, top, height } = row;
    const index = this.lab.vm(row.vm)?.index ?? 0;
    context.fillStyle = palette().rule.css;
    context.fillRect(scene.layout.left, top + height, scene.layout.right - scene.layout.left, 1);
    for (let piece = lane.first(scene.from); piece < lane.length && lane.starts[piece] < scene.to; piece++) {
      const left = Math.max(scene.layout.left, this.place(lane.starts[piece]));
      const right = Math.min(scene.layout.right, this.place(lane.ends[piece]));
      const code = lane.codes[piece];
      if (code === SHARED) {
        this.drawShares(row, piece, left, right, (share) => {
          if (share === IDLE) this.drawState(IDLE, index, left, right, row);
          return this.stateFill(share, index, right - left);
        });
      } else if (code !== UNKNOWN) this.drawState(code, index, left, right, row);
    }
  }

  stateFill(code, index, width) {
    const colours = palette();
    if (code === RUN) return width > 4 ? colours.fill(this.context, index, 1) : colours.vm(index).solid.css;
    if (code === EXIT) return colours.hypervisor.css;
    if (code === READY) return this.stripes(index, true);
    if (code === BLOCKED) return this.stripes(index, false);
    return null;
  }

  drawState(code, index, left, right, { top, height }) {
    const { context } = this;
    const colours = palette();
    const width = Math.max(right - left, 0.7);
    const fill = this.stateFill(code, index, width);
    if (fill) {
      context.fillStyle = fill;
      const thin = code === EXIT && width < 2;
      context.fillRect(left, top, thin ? Math.max(width, 1) : width, thin ? height * 0.45 : height);
      if ((code === READY || code === BLOCKED) && width > 3) this.drawWaiting(code, left, width, top, height);
    } else if (code === IDLE) {
      context.fillStyle = colours.vm(index).solid.css;
      context.fillRect(left, top + height - 2, width, 2);
    } else if (code === PAUSED || code === OFF) {
      context.fillStyle = colours.edge.css;
      for (let x = left; x < right; x += 6) context.fillRect(x, top + height - 2, Math.min(2, right - x), 1);
    }
  }

  /** The frame of a wait, and in words what it is, where there is room. */
  drawWaiting(code, left, width, top, height) {
    const { context } = this;
    const colours = palette();
    context.strokeStyle = colours.ink.css;
    context.lineWidth = 1;
    context.strokeRect(left + 0.5, top + 0.5, width - 1, height - 1);
    const text = code === READY ? _("waits") : _("swap");
    if (height < 14 || width < 54) return;
    context.font = `12px ${FONT}`;
    const plate = context.measureText(text).width + 8;
    context.fillStyle = colours.paper.css;
    context.fillRect(left + width / 2 - plate / 2, top + 2, plate, height - 4);
    context.fillStyle = colours.ink.css;
    context.textAlign = "center";
    context.fillText(text, left + width / 2, top + height / 2 + 0.5);
  }

  /** Thin stripes in a VM's colour on paper: waiting; crossed: waiting for the host's disk. */
  stripes(index, plain) {
    const key = `${index % 8}/${plain}`;
    if (!this.tiles.has(key)) {
      const colours = palette();
      const tile = new OffscreenCanvas(8, 8);
      const draw = tile.getContext("2d");
      draw.fillStyle = colours.paper.css;
      draw.fillRect(0, 0, 8, 8);
      draw.fillStyle = colours.vm(index).solid.css;
      for (let i = 0; i < 8; i++) {
        draw.fillRect(i, 7 - i, 1, 1);
        draw.fillRect(i, (11 - i) % 8, 1, 1);
        if (!plain) draw.fillRect(i, i, 1, 1);
      }
      this.tiles.set(key, this.context.createPattern(tile, "repeat"));
    }
    return this.tiles.get(key);
  }

  // Single instructions

  drawSteps({ top, height }, steps) {
    const { context } = this;
    const colours = palette();
    context.lineWidth = 1;
    for (const step of steps) {
      const [left, right] = [this.place(step.start_cycles), this.place(step.end_cycles)];
      if (step.kind === "idle" || right < this.scene.layout.left || left > this.scene.layout.right) continue;
      const index = this.lab.vm(step.vm)?.index ?? 0;
      context.fillStyle = step.kind === "instruction" ? colours.fill(context, index, 1) : colours.hypervisor.css;
      context.fillRect(left, top, right - left, height);
      if (step.kind !== "instruction") continue;
      if (step.exit) {
        context.fillStyle = colours.hypervisor.css;
        context.fillRect(left + this.scale, top, right - left - this.scale, height);
      }
      context.fillStyle = colours.paper.css;
      context.fillRect(left, top + 1, 1, height - 2);
      const room = right - left - 5;
      if (room < 34 || height < 30) continue;
      context.font = `11px ${MONO}`;
      context.textAlign = "left";
      const [name, operands = ""] = step.text.split(/\s+(.*)/s);
      const plate = Math.min(room, Math.max(context.measureText(name).width, context.measureText(operands).width) + 6);
      context.fillStyle = colours.paper.css;
      context.fillRect(left + 3, top + 4, plate, height - 8);
      context.fillStyle = colours.ink.css;
      this.clipped(name, left + 6, top + height / 2 - 7, room - 5);
      this.clipped(operands, left + 6, top + height / 2 + 7, room - 5);
    }
  }

  // Marks

  /** Marks of a row, those that lie over each other as one: [{x, items}]. */
  marks(row) {
    const { view } = this.scene;
    const items = row.kind === "actions" ? view.actions : view.events.filter(isMarked);
    const marks = [];
    for (const item of items) {
      const x = this.place(item.clock_cycles);
      const last = marks.at(-1);
      if (last && x - last.x < 13) last.items.push(item);
      else marks.push({ x, items: [item] });
    }
    return marks.filter(({ x }) => x > this.scene.layout.left - 8 && x < this.scene.layout.right + 8);
  }

  /** The items of the mark at a point, or none. */
  marked(x, y) {
    const row = this.scene?.layout.rows.find(({ top, height }) => y >= top && y < top + height + GAP);
    if (row?.kind === "pcpu") return this.happenedOn(row.key, x);
    if (row?.kind !== "actions" && row?.kind !== "events") return [];
    const near = this.marks(row).filter((mark) => Math.abs(mark.x - x) <= TOUCH);
    near.sort((one, other) => Math.abs(one.x - x) - Math.abs(other.x - x));
    return near[0]?.items ?? [];
  }

  /** The exit, or other event, of a pCPU that is nearest to a point, if one is near. */
  happenedOn(pcpu, x) {
    const near = this.scene.view.events
      .filter((event) => event.pcpu === pcpu && Math.abs(this.place(event.clock_cycles) - x) < 6)
      .sort((one, other) => Math.abs(this.place(one.clock_cycles) - x) - Math.abs(this.place(other.clock_cycles) - x));
    return near.slice(0, 1);
  }

  drawMarks(row) {
    const { context, scene } = this;
    const colours = palette();
    const marks = this.marks(row);
    const middle = row.top + row.height / 2;
    marks.forEach(({ x, items }, at) => {
      const item = items.find((one) => one.kind === "fault") ?? items[0];
      const chosen = items.some((one) => one === scene.chosen || (one.id && one.id === scene.chosen?.id));
      context.fillStyle = item.kind === "fault" ? colours.fault.css : colours.ink.css;
      context.beginPath();
      shape(context, row.kind === "actions" ? "action" : item.kind, x, middle, 5);
      context.fill();
      if (chosen) {
        context.strokeStyle = colours.focus.css;
        context.lineWidth = 2;
        context.beginPath();
        context.arc(x, middle, 9, 0, 2 * Math.PI);
        context.stroke();
      }
      const room = (marks[at + 1]?.x ?? scene.layout.right) - x - 20;
      context.font = `12px ${FONT}`;
      context.textAlign = "left";
      this.clipped(items.length > 1 ? `${items.length}` : markText(row.kind, item), x + 9, middle + 0.5, room);
    });
  }

  // Metrics and consoles

  drawPlot({ key, top, height }) {
    const { context, scene } = this;
    const colours = palette();
    const series = scene.series?.[key];
    const at = scene.series?.at ?? [];
    context.fillStyle = colours.rule.css;
    context.fillRect(scene.layout.left, top + height, scene.layout.right - scene.layout.left, 1);
    if (!series) return;
    let most = key === "ready" ? 100 : 1;
    const [first, last] = inside(at, scene.from, scene.to);
    for (const { values } of series) for (let i = first; i <= last; i++) most = Math.max(most, values[i] ?? 0);
    context.lineWidth = 1.5;
    for (const { index, values } of series) {
      context.strokeStyle = colours.vm(index).solid.css;
      context.setLineDash(index % 2 ? [4, 2] : []);
      context.beginPath();
      let pen = false;
      for (let i = first; i <= last; i++) {
        const value = values[i];
        if (value === null || value === undefined) pen = false;
        else {
          const [x, y] = [this.place(at[i]), top + height - (value / most) * (height - 2)];
          if (pen) context.lineTo(x, y);
          else context.moveTo(x, y);
          pen = true;
        }
      }
      context.stroke();
    }
    context.setLineDash([]);
  }

  drawConsole({ vm, top, height }) {
    const { context, scene } = this;
    const colours = palette();
    const prints = scene.view.prints.filter((print) => print.vm === vm);
    const index = this.lab.vm(vm)?.index ?? 0;
    context.textAlign = "left";
    context.font = `11px ${MONO}`;
    let free = -1e9;
    prints.forEach((print, at) => {
      const x = this.place(print.start_cycles);
      context.fillStyle = colours.vm(index).solid.css;
      context.fillRect(x, top + 2, 1.5, height - 4);
      const next = prints[at + 1] ? this.place(prints[at + 1].start_cycles) : scene.layout.right;
      if (x < free || next - x < 26) return;
      context.fillStyle = colours.ink.css;
      this.clipped(printable(print.text), x + 4, top + height / 2 + 0.5, next - x - 8);
      free = x;
    });
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
    const { context, scene } = this;
    const { layout, now, present, cursor } = scene;
    const colours = palette();
    if (present > now) this.line(present, colours.edge.css, [2, 3]);
    if (now >= scene.from && now <= scene.to) {
      this.line(now, colours.focus.css, []);
      const x = this.place(now);
      context.fillStyle = colours.focus.css;
      context.beginPath();
      context.moveTo(x - 7, 2);
      context.lineTo(x + 7, 2);
      context.lineTo(x + 7, 9);
      context.lineTo(x, 17);
      context.lineTo(x - 7, 9);
      context.fill();
    }
    if (cursor !== null && cursor >= scene.from && cursor <= scene.to) this.line(cursor, colours.ink.css, [5, 3], layout);
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

/** The places of samples that a window needs, one beyond each edge included. */
function inside(at, from, to) {
  let first = 0;
  while (first + 1 < at.length && at[first + 1] < from) first++;
  let last = at.length - 1;
  while (last > 0 && at[last - 1] > to) last--;
  return [first, last];
}
