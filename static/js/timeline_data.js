// A window of the past as the page keeps it: lanes as typed arrays, made of the answer to GET timeline
// (emulator/lab/monitoring/timeline.py, TimelineView). No object is made for a piece.
// While the lab runs, only what is new is asked for, and put behind what is there (`joinWindows`).

export const UNKNOWN = -1;
export const SHARED = -2;
export const STATES = ["run", "exit", "ready", "blocked", "idle", "off", "paused"];
export const [RUN, EXIT, READY, BLOCKED, IDLE, OFF, PAUSED] = STATES.keys();

/** One lane. Piece i lasts from starts[i] to ends[i] and has codes[i]; if that is SHARED, see `shares`. */
export class Lane {
  /** @param {number[]} flat as it is sent */
  constructor(flat) {
    this.flat = flat;
    const most = flat.length >> 1;
    this.starts = new Float64Array(most);
    this.ends = new Float64Array(most);
    this.codes = new Int32Array(most);
    this.places = new Int32Array(most); // of a shared piece's shares in `flat`
    this.length = 0;
    let at = flat[0];
    for (let i = 1; i < flat.length; ) {
      const piece = this.length++;
      this.starts[piece] = at;
      this.ends[piece] = at += flat[i];
      const code = flat[i + 1];
      this.codes[piece] = code < UNKNOWN ? SHARED : code;
      this.places[piece] = i;
      i += code < UNKNOWN ? 2 - 2 * code : 2;
    }
  }

  /** Call `tell(code, cycles)` for each share of a piece. */
  shares(piece, tell) {
    const code = this.codes[piece];
    if (code !== SHARED) {
      if (code !== UNKNOWN) tell(code, this.ends[piece] - this.starts[piece]);
      return;
    }
    const place = this.places[piece];
    const last = place + 1 - 2 * this.flat[place + 1];
    for (let i = place + 2; i <= last; i += 2) tell(this.flat[i], this.flat[i + 1]);
  }

  /** A piece as it is sent, if it ended at `end`: of a shared one, its part. */
  told(piece, end) {
    const length = end - this.starts[piece];
    if (this.codes[piece] !== SHARED) return [length, this.codes[piece]];
    const part = length / (this.ends[piece] - this.starts[piece]);
    const place = this.places[piece];
    const numbers = this.flat.slice(place + 1, place + 2 - 2 * this.flat[place + 1]);
    return [length, ...numbers.map((number, i) => (i && i % 2 === 0 ? number * part : number))];
  }

  /** The piece at a time, or -1. */
  at(time) {
    let low = 0;
    let high = this.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      if (this.ends[middle] <= time) low = middle + 1;
      else if (this.starts[middle] > time) high = middle - 1;
      else return middle;
    }
    return -1;
  }

  /** The first piece that ends after a time. */
  first(time) {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.ends[middle] <= time) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** What most of the piece at a time was, or UNKNOWN. A lane that ends up to `slack` before still counts. */
  codeAt(time, slack = 0) {
    const end = this.length ? this.ends[this.length - 1] : 0;
    const piece = this.at(time >= end && time - slack < end ? end - 0.5 : time);
    if (piece < 0) return UNKNOWN;
    return this.codes[piece] === SHARED ? this.flat[this.places[piece] + 2] : this.codes[piece];
  }

  /** Cycles by code between two times; of a shared piece, its part. @returns {Map<number, number>} */
  sums(from, to) {
    const sums = new Map();
    for (let piece = this.first(from); piece < this.length && this.starts[piece] < to; piece++) {
      const [start, end] = [this.starts[piece], this.ends[piece]];
      const part = (Math.min(to, end) - Math.max(from, start)) / (end - start);
      this.shares(piece, (code, cycles) => sums.set(code, (sums.get(code) ?? 0) + cycles * part));
    }
    return sums;
  }
}

const MOST = { events: 350, actions: 100, prints: 60 };
const FINE = new Set(["exit", "schedule", "interrupt"]); // told only where there is room for all of them

/** Whether an event has a mark of its own; the others are seen on the lanes. */
export const isMarked = (event) => !FINE.has(event.kind);

/** The lane `before` up to where the lane `flat` begins, and then that. What ended before `from` is left out. */
function joinLanes(before, flat, from) {
  const start = flat[0];
  const joined = [];
  let end = start;
  for (let piece = before.first(from); piece < before.length && before.starts[piece] < start; piece++) {
    if (!joined.length) joined.push(before.starts[piece]);
    end = Math.min(before.ends[piece], start);
    joined.push(...before.told(piece, end));
  }
  if (!joined.length) return new Lane(flat);
  if (flat.length === 1) return new Lane(joined);
  if (end < start) joined.push(start - end, UNKNOWN);
  for (let i = 1; i < flat.length; i++) joined.push(flat[i]);
  return new Lane(joined);
}

function joinLists(name, before, more) {
  const all = [...before, ...more];
  const few = all.length > MOST[name] ? all.filter(isMarked) : all;
  const kept = few.slice(-MOST[name]);
  return [kept, all.length - kept.length];
}

/**
 * The window `before` and, behind it, the answer to a question from the clock `since` on; of both what is after `from`.
 * Returns null if they do not fit together.
 */
export function joinWindows(before, answer, since, from) {
  const numbered = before.owners.every(([vm, vcpu], i) => answer.owners[i]?.[0] === vm && answer.owners[i]?.[1] === vcpu);
  const grown = answer.host.position >= before.host.position && answer.host.base_position === before.host.base_position;
  if (!numbered || !grown || answer.pcpus.length !== before.pcpus.length) return null;
  const older = new Map(before.vcpus.map((row) => [`${row.vm}/${row.vcpu}`, row]));
  const vcpus = answer.vcpus.map(({ vm, vcpu, lane }) => {
    const row = older.get(`${vm}/${vcpu}`);
    older.delete(`${vm}/${vcpu}`);
    return { vm, vcpu, lane: row ? joinLanes(row.lane, lane, from) : new Lane(lane) };
  });
  const earlier = (list, clock) => list.filter((one) => one[clock] >= from && one[clock] < since);
  const [events, eventsOut] = joinLists("events", earlier(before.events, "clock_cycles"), answer.events);
  const [actions, actionsOut] = joinLists("actions", earlier(before.actions, "clock_cycles"), answer.actions);
  const [prints] = joinLists("prints", earlier(before.prints, "end_cycles"), answer.prints);
  return {
    ...answer,
    from: Math.max(before.from, from),
    to: answer.to_cycles,
    precision_cycles: Math.max(before.precision_cycles, answer.precision_cycles),
    pcpus: answer.pcpus.map((flat, i) => joinLanes(before.pcpus[i], flat, from)),
    vcpus: [...vcpus, ...older.values()],
    ...{ events, actions, prints },
    events_left: before.events_left + answer.events_left + eventsOut,
    actions_left: before.actions_left + answer.actions_left + actionsOut,
  };
}

/** What a pCPU's code says: {kind: "idle" | "host" | "run" | "exit", owner}. @param {number} code */
export function pcpuCode(code) {
  if (code < 2) return { kind: code === 0 ? "idle" : "host", owner: -1 };
  return { kind: code % 2 ? "exit" : "run", owner: (code - 2) >> 1 };
}

/** The answer with its lanes made ready. */
export function takeWindow(view) {
  return {
    ...view,
    from: view.from_cycles,
    to: view.to_cycles,
    pcpus: view.pcpus.map((flat) => new Lane(flat)),
    vcpus: view.vcpus.map(({ vm, vcpu, lane }) => ({ vm, vcpu, lane: new Lane(lane) })),
  };
}

/** The mean of the clocks at a position, and back. Positions are whole. */
export const timeOf = (host, position) => (position - host.base_position) / host.pcpus;
export const positionOf = (host, time) => Math.round(host.base_position + time * host.pcpus);
