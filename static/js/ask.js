// Ask the server for something (POST) and show what went wrong. One request_id per click, kept over retries, so that an
// action is applied once even if its answer was lost.
import { h, sentence } from "./element.js";
import { reach } from "./transport.js";
import { _ } from "./text.js";

const TRIES = 6;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A fresh id for one click; randomUUID is missing on plain http. */
export function requestId() {
  return (
    crypto.randomUUID?.() ??
    Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(36)).join("-")
  );
}

/** An answer that is an error: `error` is the Error object of app/web/README.md. */
export class Refused extends Error {
  constructor(error) {
    super(error.message);
    this.error = error;
  }
}

/**
 * POST `fields` as JSON; wait and try again while the worker restarts or the network is away.
 * @param {string} url @param {Record<string, any>} fields
 * @returns {Promise<any>} the JSON answer; throws Refused
 */
export async function ask(url, fields) {
  const body = JSON.stringify({ ...fields, request_id: requestId() });
  for (let attempt = 1; ; attempt++) {
    let response = null;
    try {
      response = await reach(url, {
        method: "POST",
        body,
        headers: { "Content-Type": "application/json", Accept: "application/json" },
      });
    } catch {
      if (attempt === TRIES) throw new Refused(unreachable());
    }
    if (response && (response.status !== 503 || attempt === TRIES)) {
      const answer = await response.json().catch(() => ({ error: unreadable(response.status) }));
      if (response.ok) return answer;
      throw new Refused(answer.error ?? unreadable(response.status));
    }
    await pause(Math.min(200 * 2 ** attempt, 3000));
  }
}

const unreachable = () => ({
  title: _("The server did not answer"),
  message: _("Nothing was lost: what you did before this is saved."),
  remedy: _("Try again in a moment."),
});
const unreadable = (status) => ({
  title: _("The server answered with status {status}", { status }),
  message: "",
  remedy: _("Reload the page."),
});

/** GET JSON, or null when there is no such thing (or no connection). */
export async function look(url, signal) {
  try {
    const response = await reach(url, { headers: { Accept: "application/json" }, signal });
    return response.ok ? await response.json() : null;
  } catch {
    return null;
  }
}

/** GET JSON; throws Refused with what is wrong. @param {string} url */
export async function fetchJson(url) {
  const response = await reach(url, { headers: { Accept: "application/json" } }).catch(() => null);
  if (!response) throw new Refused(unreachable());
  const answer = await response.json().catch(() => ({ error: unreadable(response.status) }));
  if (!response.ok) throw new Refused(answer.error ?? unreadable(response.status));
  return answer;
}

/** Show an error above the workbench until it is dismissed or another takes its place. @param {any} error */
export function showMessage(error) {
  const region = document.getElementById("messages");
  const close = h(
    "button",
    { class: "plain small", type: "button", onclick: () => region.replaceChildren() },
    _("Dismiss"),
  );
  region.replaceChildren(
    h(
      "div",
      { class: "message fade" },
      h("h2", {}, error.title || _("That did not work")),
      error.message ? h("p", { lang: error.language }, ...sentence(error.message)) : null,
      error.remedy ? h("p", {}, ...sentence(error.remedy)) : null,
      close,
    ),
  );
}

export const clearMessage = () => document.getElementById("messages")?.replaceChildren();

/**
 * Send every submitted `form[data-ask]` under `root` with `ask`, the pressed button's name and value included.
 * @param {HTMLElement} root @param {(answer: any, form: HTMLFormElement) => void} done
 */
export function startAsking(root, done) {
  root.addEventListener("submit", async (event) => {
    const form = event.target.closest("form[data-ask]");
    if (!form) return;
    event.preventDefault();
    const button = event.submitter;
    const fields = Object.fromEntries(new FormData(form, button));
    button?.setAttribute("aria-busy", "true");
    try {
      const answer = await ask(form.action, fields);
      clearMessage();
      done(answer, form);
    } catch (failure) {
      if (!(failure instanceof Refused)) throw failure;
      showMessage(failure.error);
    } finally {
      button?.removeAttribute("aria-busy");
    }
  });
}
