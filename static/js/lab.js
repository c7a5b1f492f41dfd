// The lab as this page knows it: the newest observation (emulator/lab/observation.py), merged from the stream's deltas.
import { follow } from "./stream.js";

const KEPT_SLICES = 20000;
const KEPT_EVENTS = 500;

export class Lab extends EventTarget {
  /** @param {string} url "/labs/<id>" */
  constructor(url) {
    super();
    this.url = url;
    /** @type {any} observation without frames, lanes, consoles, events; plus `run` */
    this.state = null;
    /** @type {Uint8Array} code of every frame, by HFN; frame 0 is the first of RAM */
    this.owners = new Uint8Array(0);
    /** @type {Map<number, any>} code -> FrameOwner */
    this.legend = new Map();
    /** @type {Map<number, any>} id -> LaneSlice, in order of arrival */
    this.slices = new Map();
    /** @type {any[]} EventView, oldest first */
    this.events = [];
    this.connection = "connecting";
  }

  /** Start following the stream. */
  follow() {
    follow(
      `${this.url}/stream`,
      {
        state: (data) => this.takeState(data, true),
        frames: (data) => this.takeFrames(data.frames),
        lanes: (data) => this.takeLanes(data),
        console: (data) => this.tell("consoles", data),
        events: (data) => this.takeEvents(data),
      },
      (connection, reason) => {
        this.connection = connection;
        this.tell("connection", { connection, reason });
      },
    );
  }

  tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  /** Call `listener(detail)` on every event `name`. */
  on(name, listener) {
    this.addEventListener(name, (event) => listener(event.detail));
  }

  /** The VM of this name, or undefined. */
  vm(name) {
    return this.state?.vms?.find((vm) => vm.name === name);
  }

  /** Take the payload of a `state` event, or the `state` in a POST's answer: that one may be older than what the stream brought. */
  takeState(state, streamed = false) {
    if (!streamed && this.state && state.cursor < this.state.cursor) return;
    this.state = state;
    if (state.vms) this.tell("state", state);
    else this.tell("run", state);
  }

  takeFrames(frames) {
    const changed = [];
    this.legend = new Map(frames.legend.map((entry) => [entry.code, entry]));
    if (frames.owners !== null && frames.owners !== undefined) {
      const bytes = atob(frames.owners);
      this.owners = Uint8Array.from({ length: bytes.length }, (_, i) => bytes.charCodeAt(i));
    } else {
      for (const [hfn, count, code] of frames.delta) {
        this.owners.fill(code, hfn, hfn + count);
        changed.push([hfn, count]);
      }
    }
    this.tell("frames", changed);
  }

  takeLanes({ full, lanes }) {
    if (full) this.slices.clear();
    for (const slice of lanes) this.slices.set(slice.id, slice);
    const ids = this.slices.keys();
    while (this.slices.size > KEPT_SLICES) this.slices.delete(ids.next().value);
    this.tell("lanes", null);
  }

  takeEvents({ full, events }) {
    if (full) this.events = [];
    this.events.push(...events);
    if (this.events.length > KEPT_EVENTS) this.events.splice(0, this.events.length - KEPT_EVENTS);
    this.tell("events", { events, full });
  }
}
