// The engine as the page sees it: a Web Worker with one lab, asked by messages (worker.js).

import { _ } from "../text.js";

const LISTEN_MS = 1000;
const SILENT_TIMES = 15; // looked at so often without a word: no slice of work takes so long

let streams = 0;

/** A policy's call that never ends has kept the engine from answering; `line` is the last that is known. */
export class Silent extends Error {
  constructor(line) {
    super(_("The policy was called and did not come back; the last line that is known is line {line}.", { line }));
    this.line = line;
  }
}

/** A lab in this browser. "progress" {text, share} while loading, "moved" when the first guest instruction has run. */
export class Engine extends EventTarget {
  /** @param {{worker: string, base: string, archive: string, bytes: number}} parts data-engine of the page */
  constructor(parts) {
    super();
    this.parts = parts;
    this.calls = new Map();
    this.streams = new Map();
    this.last = this.quiet = 0;
    this.reached = 0; // the line that a policy has come to
  }

  /** Start the worker; throws Error when it cannot. */
  async load() {
    if (!globalThis.WebAssembly) throw new Error(_("this browser has no WebAssembly"));
    performance.mark("engine-asked");
    this.worker = new Worker(this.parts.worker, { type: "module" });
    this.worker.onmessage = ({ data }) => this.take(data);
    const { base, stamp, archives, image, bytes } = this.parts;
    const failed = new Promise((_done, refuse) => (this.worker.onerror = (event) => refuse(new Error(event.message || _("its script did not load")))));
    await Promise.race([this.once("loaded", { kind: "load", parts: { base, stamp, archives, image, bytes } }), failed]);
  }

  /** Take a lab in, at its beginning; it then works itself to where it was. */
  async open(record) {
    await this.once("opened", { kind: "open", record });
    clearInterval(this.listening);
    this.listening = setInterval(() => this.listen(), LISTEN_MS);
    for (const stream of this.streams.keys()) this.worker.postMessage({ kind: "follow", stream });
  }

  /** @returns {Promise<{status: number, kind: string, text: string}>} */
  request = (request) => this.call({ kind: "request", request });

  /** Where the lab stands in its history; with its hash if asked. */
  line = (hashed) => this.call({ kind: "line", hashed });

  /** Once a policy has run, hear whether the worker still answers. Counted, so that a computer may sleep meanwhile. */
  listen() {
    if (!this.reached) return;
    this.quiet += 1;
    if (this.quiet <= SILENT_TIMES) return this.worker.postMessage({ kind: "ping" });
    const error = new Silent(this.reached);
    this.stop(error);
    return this.tell("silent", error);
  }

  stop(error = new Error(_("the engine was stopped"))) {
    clearInterval(this.listening);
    this.worker?.terminate();
    for (const { refuse } of this.calls.values()) refuse(error);
    this.calls.clear();
  }

  /** An EventSource of the lab's observations. */
  stream() {
    const id = `s${++streams}`;
    const source = new Source(() => {
      this.streams.delete(id);
      this.worker.postMessage({ kind: "leave", stream: id });
    });
    this.streams.set(id, source);
    this.worker.postMessage({ kind: "follow", stream: id });
    queueMicrotask(() => source.onopen?.());
    return source;
  }

  call(message) {
    const id = ++this.last;
    return new Promise((done, refuse) => {
      this.calls.set(id, { done, refuse });
      this.worker.postMessage({ ...message, id });
    });
  }

  once(kind, message) {
    return new Promise((done, refuse) => {
      this.calls.set(kind, { done, refuse });
      this.worker.postMessage(message);
    });
  }

  take(data) {
    const { kind } = data;
    this.quiet = 0;
    if (kind === "pong") return;
    if (kind === "line") this.reached = data.line;
    else if (kind === "publish") this.publish(data);
    else if (kind === "reply") this.settle(data.id, "done", data.answer);
    else if (kind === "failed") this.fail(data);
    else if (kind === "loaded" || kind === "opened") performance.mark(`engine-${kind}`), this.settle(kind, "done");
    else this.tell(kind, data);
  }

  tell(kind, detail) {
    if (kind === "moved") performance.mark("engine-moved");
    this.dispatchEvent(new CustomEvent(kind, { detail }));
  }

  settle(key, how, value) {
    const call = this.calls.get(key);
    this.calls.delete(key);
    call?.[how](value);
  }

  /** A request that failed in the worker, or the lab itself: then nothing here can go on. */
  fail({ id, message }) {
    const error = new Error(message);
    for (const key of id === undefined ? [...this.calls.keys()] : [id]) this.settle(key, "refuse", error);
    if (id === undefined) this.tell("failed", error);
  }

  publish({ stream, events }) {
    const source = this.streams.get(stream);
    if (!source) return;
    for (const [name, text] of events) source.dispatchEvent(new MessageEvent(name, { data: text }));
    this.worker.postMessage({ kind: "ready", stream });
  }
}

/** What stream.js uses of an EventSource. */
class Source extends EventTarget {
  constructor(close) {
    super();
    this.close = close;
    this.onopen = this.onerror = null;
  }
}
