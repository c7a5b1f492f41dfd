// What a page asks the server about a lab that runs here: borrow, submit, return. Errors are ask.js's Refused.
import { Refused, requestId } from "../ask.js";

const AGAIN_MS = 400;
const TRIES = 5;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** The server cannot be reached now. */
export class Unreachable extends Error {}

/** It can, but has to be asked again. */
class Busy extends Unreachable {}

async function post(url, fields) {
  let response;
  try {
    response = await fetch(url, {
      method: "POST",
      body: JSON.stringify(fields),
      headers: { "Content-Type": "application/json", Accept: "application/json" },
    });
  } catch {
    throw new Unreachable();
  }
  const answer = await response.json().catch(() => null);
  if ([429, 503].includes(response.status)) throw new Busy();
  if (!answer) throw new Unreachable();
  if (!response.ok) throw new Refused(answer.error);
  return { status: response.status, answer };
}

/** Take the lab here: `{lease, lesson_version, record}`. */
export const borrow = async (lab) => (await post(`${lab}/borrow`, { request_id: requestId() })).answer;

/** End a lease without what was done here. */
export const giveBack = async (lab, fields) => (await post(`${lab}/return`, fields)).answer;

/** The lab as the server has it, without taking it: null if that cannot be had. */
export async function lookUp(lab, whole) {
  const response = await fetch(`${lab}/record${whole ? "" : "?programs=no"}`).catch(() => null);
  return response?.ok ? response.json() : null;
}

/** Let the server repeat a line and take it over; `onShare(share)` while it does. */
export async function submit(lab, submission, onShare) {
  const fields = { ...submission, request_id: requestId() };
  for (let tries = 0; ; ) {
    try {
      const { status, answer } = await post(`${lab}/submit`, fields);
      if (status === 200) return answer;
      onShare(answer.verifying);
    } catch (error) {
      // The lab changed while it was repeated: that passes. A lease that has ended does not.
      const changed = error instanceof Refused && error.error.status === 409 && error.error.where !== "lease";
      if (!(changed || error instanceof Busy) || ++tries === TRIES) throw error;
      await pause(AGAIN_MS);
    }
    await pause(AGAIN_MS);
  }
}
