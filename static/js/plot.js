// One plot over virtual time with uPlot; a chunk of its own, loaded when the metrics are first looked at. Lines carry
// their letter at their end, and differ by dashes as well as by colour.
import uPlot from "uplot";
import { FONT } from "./canvas_text.js";
import { h, typeScale } from "./element.js";
import { badge } from "./frame_readout.js";
import * as numbers from "./numbers.js";
import { palette, vmLetter } from "./patterns.js";
import { _ } from "./text.js";

const HEIGHT = 132;
const ROWS = 20;
const DASHES = [[], [6, 3], [2, 3], [10, 3, 2, 3], [4, 4], [12, 4], [2, 6], [8, 3, 2, 3, 2, 3]];
const LETTER = 14;
const BINARY = Array.from({ length: 41 }, (_, power) => 2 ** power); // steps of an axis in bytes

export class Plot {
  /** @param {{signal: string, question: string, label: string, write: (value: number) => string, most?: number, binary?: boolean}} kind */
  constructor(kind, place) {
    this.kind = kind;
    this.cursor = null;
    const id = `plot-${kind.signal}`;
    this.canvas = h("div", {
      ...{ class: "plot-canvas", id, tabindex: 0, role: "slider", "aria-labelledby": `${id}-title` },
      ...{ "aria-valuemin": 0, "aria-valuemax": 0, "aria-valuenow": 0, "aria-valuetext": _("nothing yet") },
    });
    this.readout = h("p", { class: "readout" });
    this.twin = h("details", { class: "twin" }, h("summary", {}, _("As a table")), h("div"));
    this.element = h(
      "section",
      { class: "plot", "aria-labelledby": `${id}-title` },
      h("div", { class: "head" }, h("h3", { id: `${id}-title` }, kind.question), h("span", { class: "caption" }, kind.label)),
      this.canvas,
      this.readout,
      this.twin,
    );
    place.append(this.element);
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    this.twin.addEventListener("toggle", () => this.drawTable());
    this.watcher = new ResizeObserver(() => this.canvas.clientWidth && this.chart?.setSize(this.size()));
    this.watcher.observe(this.canvas);
  }

  remove() {
    this.watcher.disconnect();
    this.chart?.destroy();
    this.element.remove();
  }

  size() {
    return { width: this.canvas.clientWidth, height: HEIGHT * typeScale() };
  }

  /** @param {number[]} at instants in ns @param {any[]} lines @param {number[]} marks instants of alarms */
  show(at, lines, marks) {
    const same = this.lines?.map((line) => line.name).join() === lines.map((line) => line.name).join();
    Object.assign(this, { at, lines, marks });
    const data = [at, ...lines.map((line) => line.values)];
    if (this.chart && same) this.chart.setData(data);
    else {
      this.chart?.destroy();
      this.chart = new uPlot(this.options(), data, this.canvas);
    }
    this.drawTable();
    this.tell(this.cursor === null ? at.length - 1 : Math.min(this.cursor, at.length - 1));
  }

  options() {
    const { inkSoft, rule } = palette();
    const large = typeScale();
    const axis = { stroke: inkSoft.css, font: `${12 * large}px ${FONT}`, ticks: { show: false } };
    const grid = { stroke: rule.css, width: 1 };
    const { write, most, binary } = this.kind;
    return {
      ...this.size(),
      legend: { show: false },
      padding: [8 * large, 20 * large, 0, 0],
      cursor: { drag: { x: false, y: false }, points: { size: 6 }, y: false, sync: { key: "metrics" } },
      scales: { x: { time: false }, y: { range: (_chart, _low, high) => [0, most ?? (high > 0 ? 1.08 * high : 1)] } },
      axes: [
        { ...axis, grid, space: 80 * large, gap: 9 * large, size: 28 * large, values: (_chart, ticks) => ticks.map((ns) => numbers.time(ns)) },
        { ...axis, grid, space: 28 * large, size: 76 * large, ...(binary && { incrs: BINARY }), values: (_chart, ticks) => ticks.map(write) },
      ],
      series: [{}, ...this.lines.map((line) => this.line(line))],
      hooks: {
        draw: [(chart) => this.drawMarks(chart), (chart) => this.drawLetters(chart)],
        setCursor: [({ cursor }) => this.pointed(cursor.idx)],
      },
    };
  }

  line({ index, place }) {
    return {
      stroke: this.colour(index),
      width: 2,
      dash: DASHES[(index ?? place) % DASHES.length],
      points: { show: false },
      spanGaps: false,
    };
  }

  colour(index) {
    return index === null ? palette().ink.css : palette().vm(index).solid.css;
  }

  /** A dotted line where an alarm was raised. */
  drawMarks({ ctx, bbox, valToPos, scales }) {
    ctx.save();
    ctx.strokeStyle = palette().ink.css;
    ctx.setLineDash([2, 4]);
    for (const at of this.marks) {
      if (at < scales.x.min || at > scales.x.max) continue;
      const x = Math.round(valToPos(at, "x", true));
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
    }
    ctx.restore();
  }

  /** The letter of each line where it ends, moved apart where they would lie over each other. */
  drawLetters({ ctx, bbox, valToPos }) {
    const ends = this.lines
      .map(({ index, who, values }) => ({ index, who, last: values.findLastIndex((value) => value !== null), values }))
      .filter(({ last }) => last >= 0)
      .map(({ index, who, last, values }) => ({
        index,
        text: index === null ? (who === "host" ? "H" : who) : vmLetter(index),
        x: valToPos(this.at[last], "x", true),
        y: valToPos(values[last], "y", true),
      }))
      .sort((one, other) => one.y - other.y);
    const scale = devicePixelRatio * typeScale();
    const side = LETTER * scale;
    ctx.save();
    ctx.font = `650 ${11 * scale}px ${FONT}`;
    ctx.textAlign = "center";
    ctx.textBaseline = "middle";
    let free = bbox.top;
    const bottom = bbox.top + bbox.height;
    for (const [place, { index, text, x, y }] of ends.entries()) {
      const lowest = bottom - (ends.length - place) * side;
      const top = Math.max(free, Math.min(y - side / 2, lowest));
      free = top + side + 1;
      ctx.fillStyle = this.colour(index);
      ctx.fillRect(x + 3, top, side, side);
      ctx.fillStyle = index === null ? palette().paper.css : palette().vmInk.css;
      ctx.fillText(text, x + 3 + side / 2, top + side / 2 + 1);
    }
    ctx.restore();
  }

  /** Arrow keys go from sample to sample. */
  key(event) {
    const now = this.cursor ?? this.at.length - 1;
    const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -now, End: this.at.length };
    const step = steps[event.key];
    if (step === undefined || !this.chart) return;
    event.preventDefault();
    const place = Math.max(0, Math.min(this.at.length - 1, now + step));
    this.chart.setCursor({ left: this.chart.valToPos(this.at[place], "x"), top: 0 });
  }

  pointed(place) {
    this.cursor = place ?? null;
    this.tell(place ?? this.at.length - 1);
  }

  /** Say what the lines are at a sample. */
  tell(place) {
    const { write } = this.kind;
    if (place < 0) return;
    const values = this.lines.map((line) => ({ ...line, value: line.values[place] })).filter(({ value }) => value !== null);
    const when = numbers.time(this.at[place]);
    const said = values.map(({ name, value }) => `${name} ${write(value)}`).join(", ");
    const slider = { "aria-valuemax": this.at.length - 1, "aria-valuenow": place, "aria-valuetext": `${_("At {when}", { when })}: ${said}` };
    for (const [name, value] of Object.entries(slider)) this.canvas.setAttribute(name, String(value));
    this.readout.replaceChildren(
      h("span", { class: "share quiet" }, when),
      ...values.map(({ index, name, value }) =>
        h("span", { class: "share" }, index === null ? h("b", {}, name) : badge(index), ` ${write(value)}`),
      ),
    );
  }

  /** The newest samples as a table. */
  drawTable() {
    if (!this.twin.open || !this.at) return;
    const first = Math.max(0, this.at.length - ROWS);
    const rows = this.at.slice(first).map((at, row) =>
      h(
        "tr",
        {},
        h("th", { scope: "row", class: "number" }, numbers.time(at)),
        ...this.lines.map(({ values }) => {
          const value = values[first + row];
          return h("td", { class: "number" }, value === null ? "\u2013" : this.kind.write(value));
        }),
      ),
    );
    const heads = [_("Virtual time"), ...this.lines.map(({ name }) => name)];
    const table = h(
      "table",
      {},
      h("caption", {}, _("Newest {n} samples", { n: rows.length })),
      h("thead", {}, h("tr", {}, ...heads.map((head) => h("th", { scope: "col", class: "number" }, head)))),
      h("tbody", {}, ...rows.reverse()),
    );
    const box = this.twin.lastElementChild;
    Object.entries({ tabindex: "0", role: "region", "aria-label": _("{label} as a table", { label: this.kind.label }) }).forEach(([name, value]) =>
      box.setAttribute(name, value),
    );
    box.replaceChildren(table);
  }
}
