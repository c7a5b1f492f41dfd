// Where a lab lives: on the server, or in this browser; moving it, keeping what was done here, and handing that in.
// It is a place in the sense of transport.js. "change" tells that something about it is different.
import { Refused, showMessage } from "../ask.js";
import { _, language } from "../text.js";
import { use } from "../transport.js";
import { Engine, Silent } from "./engine.js";
import { asked, handIn, patiently } from "./handing_in.js";
import { copyLine, readLine, readRecord, writeLab, writeLine } from "./journal.js";
import { borrow, giveBack, lookUp, Unreachable } from "./server.js";

// What stays the server's while the lab is here; everything else that is asked of the lab is answered here.
const SERVERS = /^$|^(borrow|submit|return|lease|record|share|submission|metrics|metrics\.csv)$/;
const SAVE_MS = 2000;
const PATIENCE_MS = 60000;

/** The lab runs in another tab of this browser. */
class InAnotherTab extends Error {
  constructor() {
    super(_("It runs in another tab of this browser."));
  }
}

export class Residence extends EventTarget {
  /** @param {string} url "/labs/<id>" @param {any} parts data-engine of the page */
  constructor(url, parts) {
    super();
    this.url = url;
    this.parts = parts;
    /** @type {import("./journal.js").Line | null} */
    this.line = null;
    /** @type {"server"|"loading"|"browser"|"sending"} */
    this.phase = "server";
    this.progress = { text: "", share: 0 };
    /** What keeps the work here from being taken over: null, or an error of the server */
    this.refused = null;
    this.wishes = [];
  }

  get here() {
    return this.line?.place === "browser" && Boolean(this.engine);
  }

  /** Whether another tab of this browser runs the lab. */
  get inAnotherTab() {
    return this.line?.place === "browser" && !this.engine;
  }

  /** How many actions the server does not have. */
  get unsent() {
    return this.here ? Math.max(0, this.line.log.length - this.line.sent) : 0;
  }

  /** Find out where the lab was left. */
  async resume() {
    this.line = (await readLine(this.url)) ?? null;
    if (this.line?.place !== "browser") return this.tell();
    try {
      await this.start();
    } catch (error) {
      if (!(error instanceof InAnotherTab)) throw error;
      this.tell();
    }
    return undefined;
  }

  // Moving

  /** Bring the lab here from the server, running or not. */
  async bring() {
    await this.loadEngine();
    let lent = null;
    try {
      lent = await borrow(this.url);
      await writeLab(lent.record, this.lineOf(lent, lent.lease));
    } catch (error) {
      this.leaveEngine();
      if (lent) await giveBack(this.url, { lease: lent.lease }); // it could not be kept here
      throw error;
    }
    await this.openHere();
  }

  /** Go on here from what this browser has kept, without the server. */
  async goOn() {
    this.line = { ...(await readLine(this.url)), place: "browser", lease: null };
    await writeLine(this.line);
    await this.start();
  }

  /** Hand the work in and let the lab go on on the server. */
  async sendHome(replace = false) {
    const { mode } = await this.engine.line(false);
    this.leaving = true;
    await this.engine.request(ask("POST", "control", { verb: "pause" }));
    const done = await this.send({ done: true, mode, replace });
    this.leaving = false;
    if (!done) return;
    this.leaveEngine();
    this.line = { ...this.line, place: "server", lease: null };
    await writeLine(this.line);
    await this.refresh();
  }

  /** Give up the lease and what was not sent. */
  async abandon() {
    if (this.line.lease) await giveBack(this.url, { lease: this.line.lease });
    this.leaveEngine();
    this.line = { ...this.line, place: "server", lease: null };
    await writeLine(this.line);
    this.refused = null;
    this.tell();
  }

  /** Take back a lab that another browser has. */
  takeBack = () => giveBack(this.url, { force: true });

  async start() {
    await this.loadEngine();
    await this.openHere();
  }

  async loadEngine() {
    await this.lock();
    this.engine = new Engine(this.parts);
    this.engine.addEventListener("progress", ({ detail }) => {
      this.progress = detail;
      this.tell();
    });
    this.engine.addEventListener("silent", ({ detail }) => this.silenced(detail));
    this.engine.addEventListener("failed", ({ detail }) => this.broke(detail));
    this.become("loading");
    try {
      await this.engine.load();
    } catch (error) {
      this.leaveEngine();
      throw error;
    }
  }

  /** One tab of a browser runs a lab: the history that is kept is one line. (Locks exist only on https and localhost.) */
  async lock() {
    if (!navigator.locks || this.unlock) return;
    await new Promise((locked, refuse) =>
      navigator.locks.request(`vmlab ${this.url}`, { ifAvailable: true }, (lock) => {
        if (!lock) return refuse(new InAnotherTab());
        return new Promise((unlock) => {
          this.unlock = unlock;
          locked();
        });
      }),
    );
  }

  async openHere() {
    clearInterval(this.saving);
    this.saving = setInterval(() => this.phase === "browser" && this.write().catch(unlessSilent), SAVE_MS);
    this.line = await readLine(this.url);
    await this.engine.open({ ...(await readRecord(this.url)), halted: this.halted ?? null, language });
    this.halted = null;
    use(this);
    this.become("browser");
  }

  leaveEngine() {
    clearInterval(this.saving);
    this.engine?.stop();
    this.engine = null;
    this.unlock?.();
    this.unlock = null;
    use(null);
    this.become("server");
  }

  /** The engine cannot go on: start another, and let it repeat what was kept. */
  broke(error) {
    const again = performance.now() - (this.brokeAt ?? -Infinity) > PATIENCE_MS;
    const remedy = again ? _("The lab is brought back to where it was.") : _("Reload the page, or go on on the server.");
    showMessage({ title: _("The engine stopped"), message: _("Your work is kept. ({message})", { message: error.message }), remedy });
    this.brokeAt = performance.now();
    this.engine.stop();
    return again ? this.start() : undefined;
  }

  /** A policy keeps the engine from answering: start another where the lab was before, with the policy off. */
  async silenced({ message, line }) {
    this.become("loading");
    const mode = { ...this.line.mode, mode: "paused", condition: null, reason: message };
    await writeLine((this.line = { ...this.line, mode }));
    this.halted = line;
    const remedy = _("The lab is brought back to where it was, with the policy off: mend it and use it again, or choose a built-in one.");
    showMessage({ title: _("The policy did not come back"), message, remedy });
    await this.start();
  }

  lineOf({ record, lesson_version }, lease) {
    const { generation, log, position, actions = null, present = 0, mode } = record;
    const kept = { lab: this.url, version: "", ready: false, waiting: { check: false, answers: {} }, ...this.line };
    const place = lease ? "browser" : "server";
    return { ...kept, place, lease, lesson_version, generation, log, position, actions, present, mode, shift: 0, sent: log.length };
  }

  // Without a connection

  /** Keep the lab as the server has it, to go on from. */
  async keep() {
    const { version } = this.parts;
    if (this.here) await writeLine((this.line = { ...this.line, version, ready: true }));
    else {
      const found = await lookUp(this.url, true);
      if (!found) throw new Unreachable();
      this.line = { ...this.lineOf(found, null), version, ready: true };
      await copyLine(this.line, found.record);
    }
    this.tell();
  }

  /** Keep up with what was done on the server, if the lesson is kept here. */
  async refresh() {
    if (!this.line?.ready || this.line.place === "browser") return this.tell();
    const found = await lookUp(this.url, false);
    const { lesson_version, generation } = this.line;
    const begun = found && (found.lesson_version !== lesson_version || found.record.generation !== generation);
    if (begun) return this.keepAnew();
    if (found && !this.here) await copyLine((this.line = this.lineOf(found, null)));
    return this.tell();
  }

  /** The lab began again, perhaps with other programs. */
  async keepAnew() {
    const whole = await lookUp(this.url, true);
    if (whole && !this.here) await copyLine((this.line = this.lineOf(whole, null)), whole.record);
    this.tell();
  }

  async forgetReady() {
    this.line = { ...this.line, ready: false };
    await writeLine(this.line);
    this.tell();
  }

  // Handing in

  /** Let the server repeat what was done here; returns whether it has it now. Errors are shown. */
  send(options = {}) {
    this.sending = (this.sending ?? Promise.resolve()).catch(() => {}).then(() => this.sendNow(options));
    return this.sending;
  }

  async sendNow(options) {
    this.progress = { text: "", share: 0 }; // nothing to tell unless the server answers
    this.become("sending");
    try {
      await handIn(this, options);
      return true;
    } catch (error) {
      if (error instanceof Refused) showMessage((this.refused = error.error));
      else if (!(error instanceof Unreachable)) throw error;
      return false;
    } finally {
      this.become(this.engine ? "browser" : "server");
    }
  }

  // A place of transport.js

  /** Answer like fetch. */
  async reach(url, init = {}) {
    const { pathname, searchParams } = new URL(url, location.href);
    const method = init.method ?? "GET";
    const path = pathname.startsWith(`${this.url}/`) ? pathname.slice(this.url.length + 1) : "";
    if (SERVERS.test(path)) return fetch(url, init);
    if (method === "POST" && this.leaving) return onItsWay();
    const fields = fieldsOf(init.body);
    delete fields.request_id;
    const form = headerOf(init, "HX-Request") === "true" ? "fragment" : "json";
    const request = { method, path, query: Object.fromEntries(searchParams), fields, form };
    const { status, kind, text } = await this.engine.request(request).catch(refusedBySilence);
    const answer = new Response(text, { status, headers: { "Content-Type": kind } });
    if (method === "GET" || status >= 400) return answer;
    await this.write();
    return (await this.fromServer(path, fields, init)) ?? answer;
  }

  stream() {
    return this.engine.stream();
  }

  /** Keep the line as it is now, before the page sees the answer. */
  async write() {
    const { generation, log, position, actions, present, mode } = await this.engine.line(false);
    if (!this.here) return;
    const sent = generation === this.line.generation ? Math.min(this.line.sent, log.length) : 0;
    this.line = { ...this.line, generation, log, position, actions, present, mode, sent };
    await writeLine(this.line);
    this.tell();
  }

  /** What only the server knows, at once or later. */
  async fromServer(path, fields, init) {
    if (path === "answers") {
      const { lease } = this.line;
      const response = lease && (await fetch(`${this.url}/answers`, asked({ ...fields, lease })).catch(() => null));
      if (response?.ok) return response;
      this.line.waiting.answers[fields.question] = fields.value;
    }
    if (path === "check") {
      if (navigator.onLine && (await this.send())) {
        const response = await patiently(`${this.url}/check`, { ...init, body: "{}", headers: asked({}).headers }).catch(() => null);
        if (response?.ok) return response;
      }
      this.line.waiting.check = true;
    }
    await writeLine(this.line);
    this.tell();
    return null;
  }

  become(phase) {
    this.phase = phase;
    this.tell();
  }

  tell() {
    this.dispatchEvent(new CustomEvent("change"));
  }
}

const ask = (method, path, fields) => ({ method, path, query: {}, fields, form: "json" });

const onItsWay = () => {
  const error = { title: _("Not now"), message: _("The lab is on its way to the server."), remedy: _("Try again in a moment.") };
  return new Response(JSON.stringify({ error }), { status: 409, headers: { "Content-Type": "application/json" } });
};

function unlessSilent(error) {
  if (!(error instanceof Silent)) throw error;
}

/** What was asked while a policy kept the engine is not asked again: it may be what began that. */
function refusedBySilence(error) {
  unlessSilent(error);
  const { message, line } = error;
  const told = { title: _("The policy did not come back"), message, remedy: "", diagnostics: [{ line, column: 1, message }] };
  return { status: 422, kind: "application/json", text: JSON.stringify({ error: told }) };
}

function headerOf({ headers }, name) {
  return headers instanceof Headers ? headers.get(name) : headers?.[name];
}

/** The fields of a body as app/web/forms.py reads them: several values of one name are a list. */
function fieldsOf(body) {
  if (typeof body === "string") return JSON.parse(body);
  const fields = {};
  for (const name of new Set(body?.keys() ?? [])) {
    const values = body.getAll(name);
    fields[name] = values.length === 1 ? values[0] : values;
  }
  return fields;
}
