// Pointer, wheel and fingers on the timeline's picture: point, choose, scrub at the axis, drag the window, pinch it.
import { AXIS } from "./timeline_layout.js";

const NEAR = 6; // pixels around the line where the lab stands
const SLIP = 3; // pixels that a press may move and still be a press

export class TimelineGestures {
  /** @param {import("./timeline.js").Timeline} timeline */
  constructor(timeline) {
    this.timeline = timeline;
    this.drag = null;
    this.fingers = new Map();
    const { canvas } = timeline;
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    canvas.addEventListener("pointerdown", (event) => this.press(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (event) => this.release(event));
    canvas.addEventListener("pointerleave", () => this.leave());
    canvas.addEventListener("dblclick", (event) => event.offsetY > 0 && this.scrub(this.at(event)[0]));
  }

  /** Where an event is in the picture, in its pixels: [x, y]. */
  at(event) {
    return [event.offsetX / this.timeline.scale, event.offsetY / this.timeline.scale];
  }

  scrub(x) {
    this.timeline.seek(this.timeline.timeAt(x));
  }

  wheel(event) {
    const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY);
    if (!event.ctrlKey && !event.shiftKey && !sideways) return;
    event.preventDefault();
    const { timeline } = this;
    const [from, to] = timeline.window.edges();
    if (event.ctrlKey) timeline.zoom(2 ** (event.deltaY / 240), timeline.timeAt(this.at(event)[0]));
    else timeline.pan(((sideways ? event.deltaX : event.deltaY) / 600) * (to - from));
  }

  press(event) {
    if (event.button) return;
    const { timeline } = this;
    const [x, y] = this.at(event);
    this.fingers.set(event.pointerId, x);
    timeline.canvas.setPointerCapture(event.pointerId);
    const scrubs = y < AXIS || Math.abs(x - timeline.picture.place(timeline.clock.now)) < NEAR;
    const [from, to] = timeline.window.edges();
    this.drag = { x, from, span: to - from, scrubs, moved: false };
    if (scrubs) this.scrub(x);
  }

  move(event) {
    if (!this.timeline.layout) return;
    const [x, y] = this.at(event);
    if (!this.drag) this.hover(x, y);
    else if (this.fingers.size === 2 && this.fingers.has(event.pointerId)) this.pinch(event.pointerId, x);
    else if (this.fingers.has(event.pointerId)) this.pull(event.pointerId, x);
  }

  hover(x, y) {
    const { timeline } = this;
    timeline.canvas.style.cursor = timeline.picture.marked(x, y).length || y < AXIS ? "pointer" : "";
    if (!timeline.held) timeline.point(timeline.timeAt(x));
  }

  /** One finger: scrub, or drag the window. */
  pull(finger, x) {
    const { drag, timeline } = this;
    this.fingers.set(finger, x);
    if (Math.abs(x - drag.x) > SLIP) drag.moved = true;
    if (drag.scrubs) this.scrub(x);
    else if (drag.moved) {
      const { left, right } = timeline.layout;
      const from = drag.from - ((x - drag.x) / (right - left)) * drag.span;
      timeline.window.look(from, drag.span >= timeline.clock.end ? 0 : drag.span);
      timeline.refresh();
    }
  }

  /** Two fingers: as far apart as they are, so close the window looks. */
  pinch(finger, x) {
    const before = [...this.fingers.values()];
    this.fingers.set(finger, x);
    const after = [...this.fingers.values()];
    const apart = (ends) => Math.max(12, Math.abs(ends[0] - ends[1]));
    this.drag.moved = true;
    this.timeline.zoom(apart(before) / apart(after), this.timeline.timeAt((after[0] + after[1]) / 2));
  }

  release(event) {
    const { drag } = this;
    this.fingers.delete(event.pointerId);
    if (!drag || this.fingers.size) return;
    this.drag = null;
    if (drag.moved || drag.scrubs || event.type === "pointercancel") return;
    this.tap(...this.at(event));
  }

  /** A press that was none of the others: choose what is there, in turn; else hold the cursor, or let it go. */
  tap(x, y) {
    const { timeline } = this;
    const items = timeline.picture.marked(x, y);
    if (items.length) timeline.choose(items[(items.indexOf(timeline.chosen) + 1) % items.length]);
    else if (timeline.held && Math.abs(timeline.picture.place(timeline.cursor) - x) < 4) timeline.letGo();
    else timeline.hold(timeline.timeAt(x));
  }

  leave() {
    const { canvas, held } = this.timeline;
    if (!this.drag && !held && document.activeElement !== canvas) this.timeline.point(null);
  }
}
