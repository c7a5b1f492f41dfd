// Handing in what was done in this browser: the server repeats it, takes it over, and tells what waited for it.
import { clearMessage } from "../ask.js";
import { readRecord, writeLine } from "./journal.js";
import { borrow, submit, Unreachable } from "./server.js";
import { _ } from "../text.js";

const REBUILDING_MS = 200;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Let the server repeat what was done here. Throws Refused, or Unreachable.
 * @param {import("./residence.js").Residence} residence
 * @param {{done?: boolean, mode?: any, replace?: boolean}} options done: the lab lives on the server from then on, in `mode`
 */
export async function handIn(residence, { done = false, mode = null, replace = false }) {
  if (!residence.line.lease) await borrowAgain(residence);
  const line = await standing(residence.engine);
  const { seed } = await readRecord(residence.url);
  const { lease, lesson_version, shift } = residence.line;
  const where = { lease, lesson_version, seed, generation: line.generation + shift };
  const submission = { ...line, ...where, mode: mode ?? line.mode, done, replace };
  const answer = await submit(residence.url, submission, (share) => {
    residence.progress = { text: _("The server repeats your work"), share };
    residence.tell();
  });
  if (residence.refused) clearMessage();
  residence.refused = null;
  await keep(residence, { shift: answer.generation - line.generation, sent: line.log.length });
  await bringVerdicts(residence);
}

/** After work that began without the server: what it has must be the beginning of what is here. */
async function borrowAgain(residence) {
  const { lease, record } = await borrow(residence.url);
  const { log, generation } = residence.line;
  const mine = JSON.stringify(log.slice(0, record.log.length));
  const same = record.generation === generation && mine === JSON.stringify(record.log);
  // Another line of work on the server is kept there, as an older generation.
  const shift = same ? 0 : Math.max(0, record.generation + 1 - generation);
  await keep(residence, { lease, shift, sent: same ? record.log.length : 0 });
}

/** Where the lab stands, with its hash: as soon as it is there. */
async function standing(engine) {
  for (;;) {
    const line = await engine.line(true);
    if (line.hash) return line;
    await pause(REBUILDING_MS);
  }
}

/** What waited for the server: checks and answers. */
async function bringVerdicts(residence) {
  const { url } = residence;
  const { lease, waiting } = residence.line;
  for (const [question, value] of Object.entries(waiting.answers))
    await fill(`verdict-${question}`, await patiently(`${url}/answers`, asked({ question, value, lease })));
  if (waiting.check) await fill("results", await patiently(`${url}/check`, asked({})));
  await keep(residence, { waiting: { check: false, answers: {} } });
}

/** Ask again while the server still brings the lab to where it was handed in. */
export async function patiently(url, init) {
  for (;;) {
    const response = await fetch(url, init).catch(() => null);
    if (!response) throw new Unreachable();
    if (![409, 429, 503].includes(response.status) || !response.headers.has("Retry-After")) return response;
    await pause(1000 * Number(response.headers.get("Retry-After")));
  }
}

async function fill(id, response) {
  const place = document.getElementById(id);
  if (!response.ok || !place) return;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  place.replaceChildren(...page.body.childNodes);
}

function keep(residence, changes) {
  residence.line = { ...residence.line, ...changes };
  return writeLine(residence.line);
}

/** What fetch takes to ask for a fragment. */
export const asked = (fields) => ({
  method: "POST",
  body: JSON.stringify(fields),
  headers: { "Content-Type": "application/json", "HX-Request": "true" },
});
