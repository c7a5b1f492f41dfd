// "Runs on the server | in this browser", and "Take this lesson offline": what a student sees of engine/residence.js.
import { announce } from "../announcer.js";
import { Refused, showMessage } from "../ask.js";
import { h, setText } from "../element.js";
import { isKept, keepFiles, obstacle } from "./keeping.js";
import { Residence } from "./residence.js";
import { Unreachable } from "./server.js";
import { _, language, n_ } from "../text.js";

const RETRY_MS = 15000;

const percent = (share) => `${Math.round(100 * share)} %`;
const element = (id) => document.getElementById(id);

/** @param {import("../lab.js").Lab} lab @param {HTMLElement} bench */
export async function startEngine(lab, bench) {
  const bar = element("engine-bar");
  if (!bar) return;
  bar.hidden = false;
  if (!bench.dataset.engine) return void setText(element("engine-note"), _("The engine for this browser is not built (make assets)."));
  const parts = JSON.parse(bench.dataset.engine);
  const residence = new Residence(lab.url, { ...parts, bytes: parts.engine_bytes });
  const view = new Switch(residence, lab, parts, bar.dataset.lentSince);
  await view.start();
}

class Switch {
  constructor(residence, lab, parts, lentSince) {
    Object.assign(this, { residence, lab, parts, lentSince });
    this.lost = false;
    this.keeping = null;
    this.said = "";
  }

  async start() {
    for (const button of document.querySelectorAll("#engine-bar [data-place]"))
      button.addEventListener("click", () => this.move(button.dataset.place));
    element("take-offline").addEventListener("click", () => this.keep());
    this.residence.addEventListener("change", () => this.draw());
    this.lab.on("connection", ({ connection }) => {
      this.lost = connection === "lost";
      if (connection === "live" && !this.residence.here) this.residence.refresh();
      this.draw();
    });
    this.lab.on("state", () => this.noticeActions());
    addEventListener("online", () => this.sync());
    setInterval(() => this.sync(), RETRY_MS);
    await this.attempt(() => this.residence.resume());
    if (this.residence.line?.ready && !(await isKept())) await this.residence.forgetReady();
    this.draw();
    await this.sync();
  }

  /** Run a step; what goes wrong is shown. */
  async attempt(work) {
    try {
      await work();
    } catch (error) {
      if (error instanceof Refused) showMessage(error.error);
      else showMessage(sorry(error));
    }
    this.draw();
  }

  move(place) {
    const { phase, here } = this.residence;
    if (phase === "loading" || phase === "sending" || (place === "browser") === here) return;
    if (place === "browser") this.attempt(() => (this.lost ? this.residence.goOn() : this.residence.bring()));
    else this.attempt(() => this.residence.sendHome());
  }

  /** Hand in what the server does not have, when it can be reached. */
  async sync() {
    const { residence } = this;
    const { waiting } = residence.line ?? {};
    const wanted = residence.unsent || waiting?.check || Object.keys(waiting?.answers ?? {}).length;
    if (residence.phase !== "browser" || !wanted || residence.refused || !navigator.onLine) return;
    await this.attempt(() => residence.send());
  }

  /** A lesson that is kept knows what was done on the server. */
  noticeActions() {
    const { actions } = this.lab.state;
    if (actions === this.actions) return;
    this.actions = actions;
    if (!this.residence.here) this.residence.refresh();
  }

  keep() {
    return this.attempt(async () => {
      this.keeping = 0;
      this.draw();
      try {
        await keepFiles(this.parts, (share) => {
          this.keeping = share;
          this.draw();
        });
        await this.residence.keep();
        announce("offline", _("This lesson is ready offline."));
      } finally {
        this.keeping = null;
      }
    });
  }

  draw() {
    const { phase, here, progress } = this.residence;
    const busy = phase === "loading" || (phase === "sending" && progress.text);
    if (here) this.lentSince = "";
    for (const button of document.querySelectorAll("#engine-bar [data-place]")) {
      button.setAttribute("aria-pressed", String((button.dataset.place === "browser") === here));
      button.setAttribute("aria-disabled", String(Boolean(busy)));
    }
    const bar = element("engine-progress");
    bar.hidden = !busy;
    bar.value = progress.share;
    this.drawNote(busy ? `${_(progress.text)}: ${percent(progress.share)}` : this.sentence());
    this.drawOffers(this.offers());
    this.drawOffline();
    document.documentElement.dataset.residence = phase;
  }

  drawOffers(buttons) {
    const place = element("engine-offers");
    const labels = (nodes) => nodes.map((node) => node.textContent).join("|");
    if (labels(buttons) !== labels([...place.children])) place.replaceChildren(...buttons);
  }

  drawNote(text) {
    setText(element("engine-note"), text);
  }

  sentence() {
    const { here, unsent, refused, line } = this.residence;
    if (refused) return _("The server did not take your work over. It is kept in this browser.");
    if (here && unsent) return n_("{count} action not yet sent.", "{count} actions not yet sent.", unsent);
    if (here) return line.waiting.check ? _("Will be graded when connected.") : _("Everything you did is on the server too.");
    if (this.residence.inAnotherTab) return _("This lab runs in another tab of this browser.");
    if (this.lentSince) return _("This lab runs in another browser, since {when}.", { when: new Date(this.lentSince * 1000).toLocaleString(language) });
    if (this.lost && line?.ready) return _("The server cannot be reached. You can go on here from what it last knew.");
    return "";
  }

  offers() {
    const { here, phase, unsent, refused, line } = this.residence;
    const offer = (label, work) => h("button", { type: "button", onclick: () => this.attempt(work) }, label);
    if (phase === "loading" || (phase === "sending" && this.residence.progress.text)) return [];
    if (refused) return this.wayOut(offer);
    if (here && unsent) return [offer(_("Send now"), () => this.residence.send())];
    if (!here && this.lentSince && !this.residence.inAnotherTab) return [offer(_("Take it back"), () => this.takeBack())];
    if (!here && this.lost && line?.ready) return [offer(_("Go on in this browser"), () => this.residence.goOn())];
    return [];
  }

  /** Two lines of work: neither is dropped without being asked. */
  wayOut(offer) {
    const { residence } = this;
    const replace = async () => {
      if (!residence.refused.positions) await residence.takeBack();
      await residence.sendHome(true);
    };
    return [
      residence.refused.where === "lease" ? offer(_("Hand it in as a new attempt"), replace) : null,
      offer(_("Go on with the server’s"), () => residence.abandon()),
    ].filter(Boolean);
  }

  async takeBack() {
    await this.residence.takeBack();
    location.reload();
  }

  drawOffline() {
    const button = element("take-offline");
    const { line } = this.residence;
    const stale = line?.ready && line.version !== this.parts.version;
    const ready = line?.ready && !stale;
    const why = obstacle();
    const note = why || (this.keeping !== null ? _("Keeping {percent}", { percent: percent(this.keeping) }) : "") || (ready && _("Ready offline")) || (stale && _("Out of date")) || "";
    setText(element("offline-note"), note);
    button.hidden = Boolean(why) || ready;
    button.setAttribute("aria-disabled", String(this.keeping !== null));
    setText(button, stale ? _("Bring it up to date") : _("Take this lesson offline"));
  }
}

function sorry(error) {
  if (error instanceof Unreachable)
    return { title: _("The server cannot be reached"), message: _("Nothing was lost."), remedy: _("Try again when you are connected.") };
  return { title: _("The lab cannot run in this browser"), message: error.message, remedy: _("Go on where it is; nothing was lost.") };
}
