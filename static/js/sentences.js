// The emulator's sentences in the reader's language: the template of an English sentence is looked up, its values are read out
// of it, and it is said again with the template's translation. app/texts/sentences.py does the same and says how.
import { h } from "./element.js";
import { inContext } from "./text.js";

const LONGEST = 2000;
const DEEPEST = 4; // phrases in phrases
const MOST_PARTS = 8; // sentences in a text, phrases in a sentence
const MOST_KEPT = 4096;
const WRITTEN = ["printed", "typed", "title"]; // shown as people and guests wrote it
const AS_WRITTEN = [...WRITTEN, "vm", "name"];
const PRONOUNS = ["it", "its", "they", "that", "nobody"]; // no names
const FIELD = /\{(\w+)\}/g;
const END = /[.;] /;
const PROSE = /[a-z]{2,} [a-z]{2,} [a-z]{2,}/;

const fixed = new Map();
/** @type {{words: string[], names: string[], translation: string}[]} */
const forms = [];
const known = new Map();

for (const [text, translation] of Object.entries(inContext("emulator"))) {
  const parts = text.split(/\{(\w+)\}/);
  if (parts.length === 1) fixed.set(text, translation);
  else forms.push({ words: parts.filter((_part, i) => i % 2 === 0), names: parts.filter((_part, i) => i % 2), translation });
}
const isWritten = (form) => form.names.some((name) => WRITTEN.includes(name));
const weight = (form) => form.words.join("").length;
forms.sort((one, other) => Number(isWritten(other)) - Number(isWritten(one)) || weight(other) - weight(one));

/** A sentence of the emulator as it is said here, or as it is if nobody knows it. @param {string} text */
export const words = (text) => said(text) ?? text;

/** The language of a sentence where it is not that of the page, for `lang`. @param {string} text */
export const languageOf = (text) => (fixed.size && text.includes(" ") && said(text) === null ? "en" : null);

/**
 * The same for a page: in an element that says its language where that is not the page's; a single word is a name.
 * @param {string} text
 */
export function told(text) {
  const lang = languageOf(text);
  return lang ? h("span", { lang }, text) : words(text);
}

function said(text) {
  if (!known.has(text)) {
    if (known.size >= MOST_KEPT) known.clear();
    known.set(text, translated(text, 0));
  }
  return known.get(text);
}

function translated(text, depth) {
  if (text.length > LONGEST || fixed.size === 0) return null;
  const whole = sentence(text, true, depth);
  return whole ?? sentences(text, depth) ?? listed(text, depth) ?? sentence(text, false, depth) ?? named(text, depth);
}

function sentences(text, depth) {
  const pieces = text.split(". ");
  for (let count = Math.min(pieces.length, MOST_PARTS) - 1; count > 0; count--) {
    const first = sentence(`${pieces.slice(0, count).join(". ")}.`, true, depth);
    if (first === null) continue;
    const rest = translated(pieces.slice(count).join(". "), depth);
    return rest === null ? null : `${first} ${rest}`;
  }
  return null;
}

/** Phrases with semicolons between them. */
function listed(text, depth) {
  const parts = text.split("; ");
  if (parts.length < 2 || parts.length > MOST_PARTS) return null;
  const here = parts.map((part) => sentence(part, true, depth));
  return here.includes(null) ? null : here.join("; ");
}

/** One phrase; it may begin with a capital and end with a full stop where it is a sentence. */
function sentence(text, short, depth) {
  const found = phrase(text, short, depth);
  if (found !== null) return found;
  if (text.endsWith(".")) {
    const bare = phrase(text.slice(0, -1), short, depth);
    if (bare !== null) return `${bare}.`;
  }
  const first = text.slice(0, 1);
  if (first === first.toLowerCase()) return null;
  const lower = sentence(first.toLowerCase() + text.slice(1), short, depth);
  return lower === null ? null : lower.slice(0, 1).toUpperCase() + lower.slice(1);
}

/** What is said of somebody, perhaps behind a place: "web was started", "file:3: web is on". */
function named(text, depth) {
  const at = text.indexOf(" ");
  const [who, rest] = [text.slice(0, at), text.slice(at + 1)];
  if (at < 0 || depth >= DEEPEST || PRONOUNS.includes(who)) return null;
  const behind = () => (who.endsWith(":") ? (named(rest, depth + 1) ?? translated(rest, depth + 1)) : null);
  const here = phrase(rest, true, depth + 1) ?? listed(rest, depth + 1) ?? behind();
  return here === null ? null : `${who} ${here}`;
}

function phrase(text, short, depth) {
  if (fixed.has(text)) return fixed.get(text);
  if (depth === DEEPEST) return null;
  for (const form of forms) {
    const values = valuesOf(form, text, short);
    const here = values && toldValues(form.names, values, depth);
    if (here) return form.translation.replace(FIELD, (_whole, name) => here[name]);
  }
  return null;
}

/** The values with which a template makes a text: a value ends where the template's next words begin for the first time. */
function valuesOf({ words: parts }, text, short) {
  const [first, last] = [parts[0], parts[parts.length - 1]];
  if (!text.startsWith(first) || !text.endsWith(last)) return null;
  const values = [];
  const end = text.length - last.length;
  let at = first.length;
  for (const part of parts.slice(1, -1)) {
    const place = text.indexOf(part, at + 1);
    if (place < 0 || place + part.length > end) return null;
    values.push(text.slice(at, place));
    at = place + part.length;
  }
  if (at >= end) return null;
  values.push(text.slice(at, end));
  return short && values.some((value) => END.test(value)) ? null : values;
}

function toldValues(names, values, depth) {
  const here = {};
  for (const [index, name] of names.entries()) {
    const value = values[index];
    const known = AS_WRITTEN.includes(name) ? value : translated(value, depth + 1);
    if (known === null && PROSE.test(value)) return null;
    here[name] = known ?? value;
  }
  return here;
}
