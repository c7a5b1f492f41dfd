// "What happened when?": a window of the past that is moved, zoomed and pointed at; scrubbing takes the whole page along.
// Data: timeline_source.js; state.host, state.run (where the lab stands, how far its history reaches). Only what is visible
// is asked for and drawn.
import { Refused, ask, clearMessage, showMessage } from "./ask.js";
import { announce } from "./announcer.js";
import { setAttribute, typeScale } from "./element.js";
import * as numbers from "./numbers.js";
import { onTheme } from "./patterns.js";
import { choose, on as onSelection } from "./selection.js";
import { _ } from "./text.js";
import { isMarked, positionOf, timeOf } from "./timeline_data.js";
import { layOut } from "./timeline_layout.js";
import { TimelinePicture } from "./timeline_picture.js";
import { TRACED_SPAN, TimelineSource } from "./timeline_source.js";
import { details, fillTables, moment, tell } from "./timeline_words.js";

const LEAST_SPAN = 6;
const CLOSE_SPAN = 24; // instructions are written out
const RUNNING_MS = 500; // between two questions while the lab runs
const REST_MS = 120;
const TRAVELS = new Set(["seeking", "rebuilding"]); // nothing can be asked for on the way
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
    this.from = 0;
    this.span = 0; // 0: all that there is
    this.following = true;
    this.cursor = null;
    this.chosen = null;
    this.shownRows = new Set(JSON.parse(localStorage.getItem(KEY) ?? "null") ?? ROWS);
    this.asked = "";
    this.listen();
  }

  get view() {
    return this.source.view;
  }

  get steps() {
    return this.source.steps;
  }

  // Time

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

  /** Where the lab stands, as a time; while it runs, where it stood when the window was told. */
  get now() {
    const host = this.running && this.view.host ? this.view.host : this.host;
    return timeOf(host, host.position);
  }

  /** How far its history reaches. */
  get present() {
    if (this.running && !this.lab.state.run.behind) return this.now;
    return Math.max(this.now, timeOf(this.host, this.lab.state?.run?.present ?? 0));
  }

  get end() {
    return Math.max(this.present, ...(this.running ? [] : this.host.clocks), 1000);
  }

  window() {
    const span = this.span ? Math.min(this.span, this.end * 1.02) : this.end * 1.03;
    if (this.following) {
      const edge = this.now + span * 0.02;
      if (this.span && this.running) this.from = edge - span;
      else if (this.now < this.from || edge > this.from + span) this.from = edge - span;
    }
    this.from = this.span ? Math.max(-0.02 * span, Math.min(this.from, this.end - span * 0.1)) : -0.012 * this.end;
    return [this.from, this.from + span];
  }

  /** Look closer (< 1) or wider (> 1); what is at `pivot` stays where it is. */
  zoom(factor, pivot = this.cursor ?? this.now) {
    const [from, to] = this.window();
    const at = Math.min(Math.max(pivot, from), to);
    const span = Math.min(Math.max(LEAST_SPAN, (to - from) * factor), this.end * 1.02);
    this.span = span >= this.end ? 0 : span;
    this.from = at - ((at - from) * span) / (to - from);
    this.following = this.running && at >= this.now;
    this.refresh();
  }

  pan(cycles) {
    const [from, to] = this.window();
    if (!this.span) this.span = to - from;
    this.from = from + cycles;
    this.following = false;
    this.refresh();
  }

  /** Bring a time into the window. */
  reveal(time) {
    const [from, to] = this.window();
    if (time < from || time > to) {
      this.span ||= to - from;
      this.from = time - (to - from) / 2;
      this.following = false;
    }
  }

  timeAt(x) {
    const { left, right } = this.layout;
    const [from, to] = this.window();
    return from + ((x - left) / (right - left)) * (to - from);
  }

  // Listening

  listen() {
    const { canvas, lab } = this;
    const button = (id, act) => document.getElementById(id).addEventListener("click", act);
    button("time-closer", () => this.zoom(0.5));
    button("time-wider", () => this.zoom(2));
    button("time-all", () => this.showAll());
    button("time-instructions", () => this.showInstructions());
    button("time-now", () => this.follow());
    button("time-present", () => this.seek(this.present));
    for (const box of document.querySelectorAll("#time-rows input")) {
      box.checked = this.shownRows.has(box.value);
      box.addEventListener("change", () => this.toggle(box.value, box.checked));
    }
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    canvas.addEventListener("pointerdown", (event) => this.press(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (event) => this.release(event));
    canvas.addEventListener("pointerleave", () => this.drag || this.held || document.activeElement === canvas || this.point(null));
    canvas.addEventListener("dblclick", (event) => event.offsetY > 0 && this.seek(this.timeAt(event.offsetX / this.scale)));
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("focus", () => this.cursor === null && this.point(this.now));
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

  get visible() {
    return !this.panel.hidden && this.width > 0;
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
    if (TRAVELS.has(this.lab.state.run?.mode)) this.source.part();
    if (this.end < this.from) {
      Object.assign(this, { from: 0, span: 0, cursor: null, chosen: null });
      this.source.forget();
    }
    // While it runs, the picture is drawn when there is something new to draw.
    if (this.running && !this.source.blank) this.load();
    else this.refresh();
  }

  toggle(row, on) {
    this.shownRows[on ? "add" : "delete"](row);
    localStorage.setItem(KEY, JSON.stringify([...this.shownRows]));
    this.draw();
  }

  showAll() {
    Object.assign(this, { span: 0, from: 0, following: true });
    this.refresh();
  }

  showInstructions() {
    const at = this.cursor ?? this.now;
    Object.assign(this, { span: 10, from: at - 6, following: false });
    this.refresh();
  }

  follow() {
    this.following = true;
    this.held = false;
    this.cursor = null;
    this.refresh();
  }

  // Pointer and wheel

  wheel(event) {
    const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY);
    if (!event.ctrlKey && !event.shiftKey && !sideways) return;
    event.preventDefault();
    const [from, to] = this.window();
    if (event.ctrlKey) this.zoom(2 ** (event.deltaY / 240), this.timeAt(event.offsetX / this.scale));
    else this.pan(((sideways ? event.deltaX : event.deltaY) / 600) * (to - from));
  }

  press(event) {
    if (event.button) return;
    this.fingers ??= new Map();
    this.fingers.set(event.pointerId, event.offsetX / this.scale);
    this.canvas.setPointerCapture(event.pointerId);
    const x = event.offsetX / this.scale;
    const scrubs = event.offsetY / this.scale < 26 || Math.abs(x - this.picture.place(this.now)) < 6;
    const [from, to] = this.window();
    this.drag = { x, from, span: to - from, scrubs, moved: false, pivot: this.timeAt(x) };
    if (scrubs) this.seek(this.timeAt(x));
  }

  move(event) {
    if (!this.layout) return;
    const { drag } = this;
    if (!drag) {
      this.canvas.style.cursor = this.picture.marked(event.offsetX / this.scale, event.offsetY / this.scale).length || event.offsetY / this.scale < 26 ? "pointer" : "";
      if (!this.held) this.point(this.timeAt(event.offsetX / this.scale));
      return;
    }
    if (!this.fingers.has(event.pointerId)) return;
    if (this.fingers.size === 2) {
      this.pinch(event);
      return;
    }
    this.fingers.set(event.pointerId, event.offsetX / this.scale);
    if (Math.abs(event.offsetX / this.scale - drag.x) > 3) drag.moved = true;
    if (drag.scrubs) this.seek(this.timeAt(event.offsetX / this.scale));
    else if (drag.moved) {
      const width = this.layout.right - this.layout.left;
      this.span = drag.span >= this.end ? 0 : drag.span;
      this.from = drag.from - ((event.offsetX / this.scale - drag.x) / width) * drag.span;
      this.following = false;
      this.refresh();
    }
  }

  pinch(event) {
    const before = [...this.fingers.values()];
    this.fingers.set(event.pointerId, event.offsetX / this.scale);
    const after = [...this.fingers.values()];
    const apart = (ends) => Math.max(12, Math.abs(ends[0] - ends[1]));
    this.drag.moved = true;
    this.zoom(apart(before) / apart(after), this.timeAt((after[0] + after[1]) / 2));
  }

  release(event) {
    const { drag } = this;
    this.fingers?.delete(event.pointerId);
    if (!drag || this.fingers.size) return;
    this.drag = null;
    if (drag.moved || drag.scrubs || event.type === "pointercancel") return;
    const items = this.picture.marked(event.offsetX / this.scale, event.offsetY / this.scale);
    if (items.length) {
      const at = items.indexOf(this.chosen);
      this.choose(items[(at + 1) % items.length]);
      return;
    }
    const time = this.timeAt(event.offsetX / this.scale);
    this.held = !(this.held && Math.abs(this.picture.place(this.cursor) - event.offsetX / this.scale) < 4);
    this.point(this.held ? time : null);
    if (this.held) choose({ position: positionOf(this.host, time) }, { from: this });
  }

  // Keys

  key(event) {
    if (event.altKey || event.metaKey || event.ctrlKey) return;
    const [from, to] = this.window();
    const span = to - from;
    const at = this.cursor ?? this.now;
    const acts = {
      ArrowRight: () => this.walk(at, 1, event.shiftKey),
      ArrowLeft: () => this.walk(at, -1, event.shiftKey),
      PageUp: () => this.pan(-span / 2),
      PageDown: () => this.pan(span / 2),
      Home: () => this.goTo(0),
      End: () => this.goTo(this.end),
      "+": () => this.zoom(0.5),
      "=": () => this.zoom(0.5),
      "-": () => this.zoom(2),
      n: () => this.next(at, 1),
      p: () => this.next(at, -1),
      Enter: () => (this.chosen ? this.go(this.chosen) : this.seek(at)),
      Escape: () => this.close(),
    };
    const act = acts[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  goTo(time) {
    this.reveal(time);
    this.point(time);
  }

  /** A step of the cursor: to the next instruction where single ones are shown, else a hundredth of the window. */
  walk(at, way, far) {
    const [from, to] = this.window();
    let time = at + ((way * (to - from)) / 100) * (far ? 10 : 1);
    if (this.steps && to - from <= TRACED_SPAN && !far) {
      const edges = this.steps.pcpus.flat().map((step) => step.start_cycles);
      const ahead = edges.filter((edge) => (edge - at) * way > 0);
      if (ahead.length) time = way > 0 ? Math.min(...ahead) : Math.max(...ahead);
    }
    this.goTo(Math.min(Math.max(0, time), this.end));
  }

  /** Choose the next or previous of what was done and what happened. */
  next(at, way) {
    const items = [...this.view.actions, ...this.view.events.filter(isMarked)].sort(
      (one, other) => one.clock_cycles - other.clock_cycles || one.position - other.position,
    );
    const place = items.indexOf(this.chosen);
    const found =
      place >= 0
        ? items[place + way]
        : way > 0
          ? items.find((one) => one.clock_cycles >= at)
          : items.findLast((one) => one.clock_cycles <= at);
    if (found) this.choose(found);
    else announce("timeline", way > 0 ? _("Nothing later in this window.") : _("Nothing earlier in this window."));
  }

  // Choosing and going

  point(time) {
    this.cursor = time === null ? null : Math.min(Math.max(0, time), this.end);
    if (this.pending || !this.layout || !this.visible) this.draw();
    else
      this.moving ||= requestAnimationFrame(() => {
        this.moving = 0;
        this.picture.moveCursor(this.cursor);
        this.tell(...this.window(), this.steps?.pcpus ?? null);
      });
  }

  choose(item) {
    this.chosen = item;
    this.reveal(item.clock_cycles);
    this.cursor = item.clock_cycles;
    this.held = true;
    this.showDetails();
    choose(item.id ? { event: item.id, vm: item.vm, vcpu: item.vcpu, position: item.position } : { position: item.position }, { from: this });
    this.refresh();
  }

  /** Take what was chosen elsewhere. */
  take({ event, position }) {
    if (!this.lab.state?.host) return;
    const found = event ? this.view.events.find((one) => one.id === event) : null;
    this.chosen = found ?? null;
    if (found || position !== undefined) {
      this.cursor = found ? found.clock_cycles : timeOf(this.host, position);
      this.held = true;
      if (this.visible) this.reveal(this.cursor);
    }
    this.showDetails();
    this.refresh();
  }

  showDetails() {
    details(this.place, this.lab, this.chosen, this.hz, {
      go: (item) => this.go(item),
      undo: (item) => this.undo(item),
      why: (item) => this.why(item),
      close: () => this.close(),
    });
  }

  close() {
    Object.assign(this, { chosen: null, held: false, cursor: null });
    this.showDetails();
    this.draw();
  }

  go(item) {
    this.send({ verb: "seek", position: item.position });
  }

  undo(item) {
    this.close();
    this.send({ verb: "undo", position: item.position, actions: item.seq - 1 });
  }

  async why(item) {
    const { showWhy } = await import("./timeline_why.js");
    showWhy(this.place, this.lab, item, (event) => this.goToEvent(event));
  }

  /** Go to an event of a chain of causes. */
  goToEvent(event) {
    const time = timeOf(this.host, event.position);
    this.reveal(time);
    this.cursor = time;
    this.held = true;
    choose({ event: event.id, vm: event.vm, vcpu: event.vcpu, position: event.position }, { from: this });
    this.send({ verb: "seek", position: event.position });
    this.refresh();
  }

  /** Take the whole page to a time; while one way there is being gone, only the newest wish is kept. */
  seek(time) {
    const limited = Math.min(Math.max(0, time), this.present);
    const position = Math.min(positionOf(this.host, limited), this.lab.state.run?.present ?? this.host.position);
    this.send({ verb: "seek", position: Math.max(0, position) });
  }

  async send(fields) {
    this.wish = fields;
    if (this.sending) return;
    this.sending = true;
    try {
      while (this.wish) {
        const wish = this.wish;
        this.wish = null;
        const answer = await ask(`${this.lab.url}/control`, wish);
        clearMessage();
        if (answer.state) this.lab.takeState(answer.state);
      }
    } catch (failure) {
      if (!(failure instanceof Refused)) throw failure;
      showMessage(failure.error);
    } finally {
      this.sending = false;
    }
  }

  // Asking

  refresh() {
    this.draw();
    this.load();
  }

  /** Ask for the window if what is here does not hold it well; while the lab runs, now and then. */
  load() {
    if (!this.visible || this.loading || !this.lab.state?.host || TRAVELS.has(this.lab.state.run?.mode)) return;
    const since = performance.now() - (this.loadedAt ?? -1e9);
    const rest = this.running ? RUNNING_MS : this.drag ? REST_MS : 0;
    if (since < rest) {
      this.timer ??= setTimeout(() => {
        this.timer = null;
        this.load();
      }, rest - since);
      return;
    }
    const [from, edge] = this.window();
    const to = this.running && this.following ? Math.max(edge, timeOf(this.host, this.host.position)) : edge;
    const { cursor, position } = this.lab.state;
    const wanted = `${from}/${to}/${position}/${cursor}/${this.width}`;
    if (wanted === this.asked) return;
    this.asked = wanted;
    this.loading = true;
    const { width, running, span, shownRows: rows } = this;
    this.source.ask({ from, to, width, running, all: !span, rows }).finally(() => {
      this.loading = false;
      this.loadedAt = performance.now();
      this.draw();
      this.load();
    });
  }

  // Drawing

  draw() {
    this.pending ||= requestAnimationFrame(() => {
      this.pending = 0;
      if (this.visible && this.lab.state?.host) this.drawNow();
    });
  }

  drawNow() {
    const { width } = this;
    const [from, to] = this.window();
    const box = this.canvas.getBoundingClientRect();
    const seen = [-box.top / this.scale, (innerHeight - box.top) / this.scale];
    const close = to - from <= CLOSE_SPAN && !this.running;
    this.layout = layOut(this.view, this.shownRows, width, close, (vm) => this.lab.vm(vm)?.index ?? 0);
    const { now, present, cursor, chosen, view } = this;
    const { series } = this.source;
    const steps = this.steps?.pcpus ?? null;
    this.picture.draw({ ...{ view, layout: this.layout, seen, from, to, hz: this.hz, now, present, width }, ...{ cursor, chosen, series, steps, clocks: this.host.clocks } });
    document.getElementById("time-now").hidden = this.following && from <= now && now <= to;
    document.getElementById("time-present").hidden = !this.lab.state.run?.behind;
    document.getElementById("time-empty").hidden = this.end > 1000 || view.actions.length > 0;
    this.tell(from, to, steps);
    if (this.twin.open) fillTables(this.twin.lastElementChild, this.lab, view, Math.max(0, from), Math.min(to, this.end), this.hz, steps);
  }

  tell(from, to, steps) {
    const at = this.cursor ?? this.now;
    const when = numbers.time(numbers.nanoseconds(at, this.hz));
    const precision = numbers.time(numbers.nanoseconds(this.view.precision_cycles ?? 0, this.hz));
    const place = this.view.precision_cycles
      ? _("Around {when}, mostly (told to {precision}):", { when, precision })
      : this.cursor === null
        ? _("Now, at {when}:", { when })
        : _("At {when}:", { when });
    // Where the lab stands the last instant is over: what was done just before is what is going on.
    const lines = moment(this.view, Math.min(at, this.now === at ? at - 1 : at), steps, to - from <= TRACED_SPAN);
    if (this.source.untraced && to - from <= TRACED_SPAN) lines.push(this.source.untraced);
    tell(this.readout, this.canvas, { at, when, lines, from, to, place });
    setAttribute(this.canvas, "data-span", Math.round(to - from));
  }
}
