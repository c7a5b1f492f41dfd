// What is chosen on the page: one thing at a time, the same for every picture. Whoever shows something that can be pointed
// at chooses it here, and highlights what others have chosen. Keys that do not apply are missing:
// {vm, vcpu, space: "gva" | "gpa" | "hpa", address: "0x...", hfn, event, position}.
import { show } from "./tabs.js";

const listeners = new Set();
let chosen = Object.freeze({});

/** What is chosen now. */
export const current = () => chosen;

/**
 * Choose something, or nothing with {}.
 * @param {object} what
 * @param {{from?: object, panel?: string}} [how] `from`: who chose, to tell one's own choice; `panel`: a view to bring up
 */
export function choose(what, { from = null, panel = "" } = {}) {
  chosen = Object.freeze({ ...what });
  if (panel) show(panel);
  for (const listener of listeners) listener(chosen, from);
}

/** Call `listener(what, from)` when something is chosen. Returns a function that ends it. */
export function on(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
