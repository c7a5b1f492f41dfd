// The lab as this page knows it: the newest observation (emulator/lab/observation.py), merged from the stream's deltas
// (app/web/README.md, "The stream").
import { applied } from "./changes.js";
import { follow } from "./stream.js";

const KEPT_SLICES = 20000;
const KEPT_EVENTS = 500;

/** Whether a state was told before another; `run.revision` orders those between which only the run has changed. */
const isOlder = (one, other) =>
  one.cursor < other.cursor || (one.cursor === other.cursor && one.run.revision < other.run.revision);

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
    this.about = 0;
    /** @type {any[]} EventView, oldest first */
    this.events = [];
    this.connection = "connecting";
    /** @type {any} the newest state of the stream, of which the next one is a difference */
    this.streamed = null;
  }

  /** Start following the stream. */
  follow() {
    follow(
      `${this.url}/stream`,
      {
        state: (data) => this.takeStreamed(data),
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
    if (!streamed && this.state && isOlder(state, this.state)) return;
    this.state = state;
    if (state.vms) this.tell("state", state);
    else this.tell("run", state);
  }

  /** Take a `state` event: whole, or what changed in `host`, `vms` and so on. */
  takeStreamed({ changes, ...state }) {
    this.streamed = changes ? { ...applied(this.streamed, changes), ...state } : state;
    this.takeState(this.streamed, true);
  }

  takeFrames(frames) {
    const changed = [];
    if (frames.legend) this.legend = new Map(frames.legend.map((entry) => [entry.code, entry]));
    if (frames.owners !== null && frames.owners !== undefined) {
      const bytes = atob(frames.owners);
      this.owners = Uint8Array.from({ length: bytes.length }, (_, i) => bytes.charCodeAt(i));
    } else {
      const { gaps, counts, codes } = frames.delta;
      let hfn = 0;
      codes.forEach((code, i) => {
        const count = counts?.[i] ?? 1;
        hfn += gaps[i];
        this.owners.fill(code, hfn, hfn + count);
        changed.push([hfn, count]);
        hfn += count;
      });
    }
    // Runs of frames that changed hands; null: all may have, or what the codes mean has changed.
    this.tell("frames", frames.legend ? null : changed);
  }

  takeLanes({ full, lanes, coarse }) {
    if (full) this.slices.clear();
    for (const slice of coarse ? this.parts(coarse) : lanes) this.slices.set(slice.id, slice);
    const ids = this.slices.keys();
    while (this.slices.size > KEPT_SLICES) this.slices.delete(ids.next().value);
    this.tell("lanes", null);
  }

  /** The parts of pieces of lanes (CoarseLanes) as slices; `about`: each is as long as it was, and about there. */
  *parts({ who, starts, pieces }) {
    for (const [pcpu, lane] of pieces.entries()) {
      let start_cycles = starts[pcpu];
      for (const [cycles, ...parts] of lane) {
        const end = start_cycles + cycles;
        for (let i = 0; i < parts.length; i += 2) {
          const code = parts[i];
          const [vm, vcpu] = who[code - 2] ?? [null, null];
          const end_cycles = i + 1 < parts.length ? start_cycles + (cycles * parts[i + 1]) / 100 : end;
          const kind = code === 0 ? "idle" : code === 1 ? "hypervisor" : "run";
          yield { id: `about-${++this.about}`, pcpu, vm, vcpu, kind, start_cycles, end_cycles, about: true };
          start_cycles = end_cycles;
        }
        start_cycles = end;
      }
    }
  }

  takeEvents({ full, events }) {
    if (full) this.events = [];
    this.events.push(...events);
    if (this.events.length > KEPT_EVENTS) this.events.splice(0, this.events.length - KEPT_EVENTS);
    this.tell("events", { events, full });
  }
}
