// What the page says, in the reader's language. A message is its English text; translations are JSON of message -> text, or
// -> [one, many] where a number decides (app/texts). <html data-texts> says where they are; without it the page is English.
// Every module that says something imports this one, so nothing runs before the texts are there.

import { count as short } from "./numbers.js";

const page = globalThis.document?.documentElement;

/** The language of the page. */
export const language = page?.lang || "en";

const texts = page?.dataset.texts ? await fetchTexts(page.dataset.texts) : {};

async function fetchTexts(url) {
  try {
    const response = await fetch(url);
    return response.ok ? await response.json() : {};
  } catch {
    return {}; // English is better than no page
  }
}

const filled = (text, values) => text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));

/**
 * Return a message with its `{name}`s filled in. The message is written out where this is called, so that it is found.
 * @param {string} message @param {Record<string, any>} [values]
 */
export const _ = (message, values = {}) => filled(texts[message] ?? message, values);

/**
 * The same, for a message that depends on a number; the number is `{count}` unless values say otherwise.
 * @param {string} one @param {string} many @param {number} count @param {Record<string, any>} [values]
 */
export function n_(one, many, count, values = {}) {
  const forms = texts[one] ?? [one, many];
  return filled(count === 1 ? forms[0] : forms[1], { count: short(count), ...values });
}

/** Name a message that is translated later, with `_(variable)`. @param {string} message */
export const toSay = (message) => message;

/**
 * All translations of a context, by message; gettext keeps both in one key.
 * @param {string} context @returns {Record<string, string>}
 */
export function inContext(context) {
  const start = `${context}\u0004`;
  return Object.fromEntries(
    Object.entries(texts).flatMap(([key, said]) => (key.startsWith(start) ? [[key.slice(start.length), said]] : [])),
  );
}
