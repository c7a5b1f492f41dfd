// "What happened when?": a window of the past that is moved, zoomed and pointed at; scrubbing takes the whole page along.
// Here the parts meet: the window (timeline_window.js) on what is known (timeline_source.js) is laid out and drawn
// (timeline_layout.js, timeline_picture.js), told in words (timeline_words.js), and moved by gestures and keys.
// Data: state.host, state.run (timeline_clock.js). Only what is visible is asked for and drawn.
import { setAttribute, typeScale } from "./element.js";
import * as numbers from "./numbers.js";
import { onTheme } from "./patterns.js";
import { choose, on as onSelection } from "./selection.js";
import { _ } from "./text.js";
import { LabClock } from "./timeline_clock.js";
import { TimelineGestures } from "./timeline_gestures.js";
import { pressKey } from "./timeline_keys.js";
import { layOut } from "./timeline_layout.js";
import { TimelinePicture } from "./timeline_picture.js";
import { TRACED_SPAN, TimelineSource } from "./timeline_source.js";
import { Travel } from "./timeline_travel.js";
import { TimelineWindow } from "./timeline_window.js";
import { details, fillTables, moment, tell } from "./timeline_words.js";

const CLOSE_SPAN = 24; // instructions are written out
const RUNNING_MS = 500; // between two questions while the lab runs
const REST_MS = 120;
const KEY = "vmlab-timeline-rows";
const ROWS = ["actions", "events", "pcpus", "vcpus", "ready", "exits", "consoles"];

export class Timeline {
  /** @param {import("./lab.js").Lab} lab @param {HTMLElement} panel */
  constructor(lab, panel) {
    this.lab = lab;
    this.panel = panel;
    this.canvas = document.getElementById("timeline");
    this.readout = document.getElementById("time-readout");
    this.place = document.getElementById("time-details");
    this.twin = document.getElementById("time-twin");
    this.picture = new TimelinePicture(this.canvas, lab);
    this.source = new TimelineSource(lab);
    this.clock = new LabClock(lab, this.source);
    this.window = new TimelineWindow(this.clock);
    this.travel = new Travel(lab);
    this.cursor = null;
    this.held = false; // the cursor stays when the pointer leaves
    this.chosen = null;
    this.shownRows = new Set(JSON.parse(localStorage.getItem(KEY) ?? "null") ?? ROWS);
    this.asked = "";
    this.listen();
    this.gestures = new TimelineGestures(this);
  }

  get view() {
    return this.source.view;
  }

  get steps() {
    return this.source.steps;
  }

  get visible() {
    return !this.panel.hidden && this.width > 0;
  }

  timeAt(x) {
    const { left, right } = this.layout;
    const [from, to] = this.window.edges();
    return from + ((x - left) / (right - left)) * (to - from);
  }

  // Listening

  listen() {
    this.listenToControls();
    const { canvas, lab } = this;
    canvas.addEventListener("keydown", (event) => pressKey(this, event));
    canvas.addEventListener("focus", () => this.cursor === null && this.point(this.clock.now));
    this.twin.addEventListener("toggle", () => this.refresh());
    lab.on("state", () => this.changed());
    lab.on("run", () => this.changed());
    new ResizeObserver(([{ contentRect }]) => {
      this.fit(contentRect.width);
      this.refresh();
    }).observe(canvas.parentElement);
    document.addEventListener("scroll", () => this.draw(), { capture: true, passive: true });
    onTheme(() => {
      this.picture.forgetColours();
      this.draw();
    });
    document.fonts.ready.then(() => this.draw());
    onSelection((what, from) => from !== this && this.take(what));
  }

  listenToControls() {
    const button = (id, act) => document.getElementById(id).addEventListener("click", act);
    button("time-closer", () => this.zoom(0.5));
    button("time-wider", () => this.zoom(2));
    button("time-all", () => this.showAll());
    button("time-instructions", () => this.showInstructions());
    button("time-now", () => this.follow());
    button("time-present", () => this.seek(this.clock.present));
    for (const box of document.querySelectorAll("#time-rows input")) {
      box.checked = this.shownRows.has(box.value);
      box.addEventListener("change", () => this.toggle(box.value, box.checked));
    }
  }

  shown() {
    this.fit(this.canvas.parentElement.clientWidth);
    this.changed();
  }

  /** Take a width in CSS pixels; the picture is as much larger than it is drawn as the page's type is. */
  fit(width) {
    this.scale = typeScale();
    this.width = Math.round(width / this.scale);
  }

  changed() {
    if (!this.visible || !this.lab.state?.host) return;
    if (this.clock.travelling) this.source.part();
    if (this.clock.end < this.window.from) this.forget();
    // While it runs, the picture is drawn when there is something new to draw.
    if (this.clock.running && !this.source.blank) this.load();
    else this.refresh();
  }

  /** The past that was looked at is gone: a new generation of the lab has begun. */
  forget() {
    this.window.reset();
    Object.assign(this, { cursor: null, chosen: null });
    this.source.forget();
  }

  toggle(row, on) {
    this.shownRows[on ? "add" : "delete"](row);
    localStorage.setItem(KEY, JSON.stringify([...this.shownRows]));
    this.draw();
  }

  // Moving the window

  zoom(factor, pivot = this.cursor ?? this.clock.now) {
    this.window.zoom(factor, pivot);
    this.refresh();
  }

  pan(cycles) {
    this.window.pan(cycles);
    this.refresh();
  }

  showAll() {
    this.window.showAll();
    this.refresh();
  }

  showInstructions() {
    this.window.look((this.cursor ?? this.clock.now) - 6, 10);
    this.refresh();
  }

  follow() {
    this.window.following = true;
    Object.assign(this, { held: false, cursor: null });
    this.refresh();
  }

  // Pointing and choosing

  /** Point at a time, or at none. */
  point(time) {
    this.cursor = time === null ? null : this.clock.within(time);
    if (this.pending || !this.layout || !this.visible) this.draw();
    else
      this.moving ||= requestAnimationFrame(() => {
        this.moving = 0;
        this.picture.moveCursor(this.cursor);
        this.tell(...this.window.edges(), this.steps?.pcpus ?? null);
      });
  }

  goTo(time) {
    this.window.reveal(time);
    this.point(time);
  }

  /** Point at a time until the cursor is let go, and choose it for the whole page. */
  hold(time) {
    this.held = true;
    this.point(time);
    choose({ position: this.clock.positionOf(time) }, { from: this });
  }

  letGo() {
    this.held = false;
    this.point(null);
  }

  /** Choose something that was done or that happened. */
  choose(item) {
    this.chosen = item;
    this.holdAt(item.clock_cycles);
    this.showDetails();
    choose(item.id ? selected(item) : { position: item.position }, { from: this });
    this.refresh();
  }

  /** Take what was chosen elsewhere. */
  take({ event, position }) {
    if (!this.lab.state?.host) return;
    this.chosen = (event && this.view.events.find((one) => one.id === event)) || null;
    if (this.chosen) this.holdAt(this.chosen.clock_cycles);
    else if (position !== undefined) this.holdAt(this.clock.timeOf(position));
    this.showDetails();
    this.refresh();
  }

  holdAt(time) {
    this.cursor = time;
    this.held = true;
    if (this.visible) this.window.reveal(time);
  }

  close() {
    Object.assign(this, { chosen: null, held: false, cursor: null });
    this.showDetails();
    this.draw();
  }

  showDetails() {
    details(this.place, this.lab, this.chosen, this.clock.hz, {
      go: (item) => this.travel.seek(item.position),
      undo: (item) => {
        this.close();
        this.travel.undo(item);
      },
      why: (item) => this.why(item),
      close: () => this.close(),
    });
  }

  async why(item) {
    const { showWhy } = await import("./timeline_why.js");
    showWhy(this.place, this.lab, item, (event) => this.goToEvent(event));
  }

  // Going there

  /** Take the whole page to a time. */
  seek(time) {
    this.travel.seek(this.clock.reached(time));
  }

  /** Go to an event of a chain of causes. */
  goToEvent(event) {
    this.holdAt(this.clock.timeOf(event.position));
    choose(selected(event), { from: this });
    this.travel.seek(event.position);
    this.refresh();
  }

  // Asking

  refresh() {
    this.draw();
    this.load();
  }

  /** Ask for the window if what is here does not hold it well; while the lab runs, now and then. */
  load() {
    if (!this.visible || this.loading || !this.lab.state?.host || this.clock.travelling || this.rests()) return;
    const { width, shownRows: rows, clock } = this;
    const { running, host } = clock;
    const [from, edge] = this.window.edges();
    const to = running && this.window.following ? Math.max(edge, clock.timeOf(host.position)) : edge;
    const { cursor, position } = this.lab.state;
    const wanted = `${from}/${to}/${position}/${cursor}/${width}`;
    if (wanted === this.asked) return;
    this.asked = wanted;
    this.loading = true;
    this.source.ask({ from, to, width, running, all: !this.window.span, rows }).finally(() => {
      this.loading = false;
      this.loadedAt = performance.now();
      this.draw();
      this.load();
    });
  }

  /** Whether it is too soon to ask again; then that is done later. */
  rests() {
    const since = performance.now() - (this.loadedAt ?? -1e9);
    const rest = this.clock.running ? RUNNING_MS : this.gestures.drag ? REST_MS : 0;
    if (since >= rest) return false;
    this.timer ??= setTimeout(() => {
      this.timer = null;
      this.load();
    }, rest - since);
    return true;
  }

  // Drawing

  draw() {
    this.pending ||= requestAnimationFrame(() => {
      this.pending = 0;
      if (this.visible && this.lab.state?.host) this.drawNow();
    });
  }

  drawNow() {
    const { chosen, clock, cursor, source, view, width } = this;
    const { clocks } = clock.host;
    const { hz, now, present } = clock;
    const [from, to] = this.window.edges();
    const close = to - from <= CLOSE_SPAN && !clock.running;
    const layout = layOut(view, this.shownRows, width, close, (vm) => this.lab.vm(vm)?.index ?? 0);
    const steps = this.steps?.pcpus ?? null;
    this.layout = layout;
    const scene = { view, layout, seen: this.seen(), from, to, hz, now, present, clocks, width };
    this.picture.draw({ ...scene, cursor, chosen, series: source.series, steps });
    this.showControls(from, to);
    this.tell(from, to, steps);
    if (this.twin.open) fillTables(this.twin.lastElementChild, this.lab, view, Math.max(0, from), Math.min(to, clock.end), hz, steps);
  }

  /** Which part of the picture is on the screen: [top, bottom], in its pixels. */
  seen() {
    const { top } = this.canvas.getBoundingClientRect();
    return [-top / this.scale, (innerHeight - top) / this.scale];
  }

  showControls(from, to) {
    const { now, blank } = this.clock;
    document.getElementById("time-now").hidden = this.window.following && from <= now && now <= to;
    document.getElementById("time-present").hidden = !this.lab.state.run?.behind;
    document.getElementById("time-empty").hidden = !blank || this.view.actions.length > 0;
  }

  tell(from, to, steps) {
    const { hz, now } = this.clock;
    const at = this.cursor ?? now;
    const traced = to - from <= TRACED_SPAN;
    const when = numbers.time(numbers.nanoseconds(at, hz));
    // Where the lab stands the last instant is over: what was done just before is what is going on.
    const lines = moment(this.view, Math.min(at, now === at ? at - 1 : at), steps, traced);
    if (this.source.untraced && traced) lines.push(this.source.untraced);
    tell(this.readout, this.canvas, { at, when, lines, from, to, place: this.placeInWords(when) });
    setAttribute(this.canvas, "data-span", Math.round(to - from));
  }

  placeInWords(when) {
    const cycles = this.view.precision_cycles;
    if (cycles) return _("Around {when}, mostly (told to {precision}):", { when, precision: numbers.time(numbers.nanoseconds(cycles, this.clock.hz)) });
    return this.cursor === null ? _("Now, at {when}:", { when }) : _("At {when}:", { when });
  }
}

/** An event as the page's choice. */
const selected = ({ id, vm, vcpu, position }) => ({ event: id, vm, vcpu, position });
