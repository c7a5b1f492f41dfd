// A page-table walk that was drawn by labs/_walk.html, made to answer: pointing at a reference lights the bits of the address
// that chose it and its frame in the frame map; pressing it shows its entry bit by bit, and the page that it stands in.
// Data: the fragments walk, where, fault, exit; GET table?hfn= as a fragment.
import * as selection from "./selection.js";
import { reach } from "./transport.js";

export const WALKS = {}; // who chose, in the selection
const REST_MS = 120;
let url = "";
let resting = 0;

/** Let every walk of the page answer, now and later. @param {string} labUrl */
export function startWalks(labUrl) {
  if (url) return;
  url = labUrl;
  const over = (event) => {
    const step = event.target.closest?.("[data-walk] .ref");
    if (step) point(step);
  };
  document.addEventListener("pointerover", over);
  document.addEventListener("focusin", over);
  document.addEventListener("click", (event) => {
    const step = event.target.closest?.("[data-walk] .ref");
    if (step) press(step);
    const table = event.target.closest?.("[data-walk] [data-table]");
    if (table) showTable(table);
  });
  document.addEventListener("keydown", (event) => {
    const step = event.target.closest?.("[data-walk] .ref");
    if (step) move(event, step);
  });
}

const walkOf = (element) => element.closest("[data-walk]");
const steps = (walk) => [...walk.querySelectorAll(".ref")];

/** One stop of the tab key for each walk: the arrows lead on. @param {ParentNode} place */
export function tidy(place) {
  for (const walk of place.querySelectorAll("[data-walk]"))
    steps(walk).forEach((step, index) => (step.tabIndex = index ? -1 : 0));
}

/** Light the part of the address that chose a reference, and choose the frame that it lies in. */
function point(step) {
  const walk = walkOf(step);
  for (const part of walk.querySelectorAll(".part.lit")) part.classList.remove("lit");
  for (const part of partsOf(step)) part.classList.add("lit");
  clearTimeout(resting);
  const { address: _address, space: _space, ...rest } = selection.current();
  resting = setTimeout(() => selection.choose({ ...rest, hfn: Number(step.dataset.hfn) }, { from: WALKS }), REST_MS);
}

/** The index that leads to an entry: of the GPA of its row, or for a guest's entry of the GVA. A leaf leaves the offset. */
function partsOf(step) {
  const walk = walkOf(step);
  const place = step.dataset.stage === "VS" ? walk.querySelector(":scope > .cut") : step.closest(".walk-row");
  const leaf = step.dataset.outcome === "leaf" ? ', .part[data-for="end"]' : "";
  return place?.querySelectorAll(`.part[data-for="${step.dataset.step}"]${leaf}`) ?? [];
}

/** Show a reference bit by bit; a second press shows all of them again. */
function press(step) {
  const walk = walkOf(step);
  const was = step.getAttribute("aria-pressed") === "true";
  for (const other of steps(walk)) other.setAttribute("aria-pressed", String(other === step && !was));
  pick(walk, was ? null : step.dataset.step);
  const list = walk.querySelector(".walk-list");
  list.open = !was;
}

function pick(walk, number) {
  const list = walk.querySelector(".walk-list");
  list.classList.toggle("one", number !== null);
  for (const item of list.querySelectorAll("[data-reference]"))
    item.classList.toggle("chosen", item.dataset.reference === number);
}

/** The references that are pressed in each walk of a place, to be pressed again in what takes its place. */
export const pressed = (place) =>
  [...place.querySelectorAll("[data-walk]")].map((walk) => ({
    step: walk.querySelector('.ref[aria-pressed="true"]')?.dataset.step ?? null,
    open: walk.querySelector(".walk-list").open,
    focus: walk.contains(document.activeElement) ? document.activeElement.dataset.step : undefined,
  }));

/** @param {ParentNode} place @param {ReturnType<typeof pressed>} before */
export function pressAgain(place, before) {
  tidy(place);
  [...place.querySelectorAll("[data-walk]")].forEach((walk, index) => {
    const { step = null, open = false, focus } = before[index] ?? {};
    const button = step === null ? null : walk.querySelector(`.ref[data-step="${step}"]`);
    if (button) press(button);
    else walk.querySelector(".walk-list").open = open;
    if (focus) walk.querySelector(`.ref[data-step="${focus}"]`)?.focus({ preventScroll: true });
  });
}

function move(event, step) {
  const all = steps(walkOf(step));
  const at = all.indexOf(step);
  const columns = step.closest(".chain").querySelectorAll(".ref").length;
  const to = {
    ArrowRight: at + 1,
    ArrowLeft: at - 1,
    ArrowDown: at + columns,
    ArrowUp: at - columns,
    Home: 0,
    End: all.length - 1,
  }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  const next = all[Math.max(0, Math.min(all.length - 1, to))];
  for (const other of all) other.tabIndex = other === next ? 0 : -1;
  next.focus();
}

async function showTable(button) {
  const place = walkOf(button).querySelector(".table-page");
  const { table, index } = button.dataset;
  const response = await reach(`${url}/table?hfn=${table}`, { headers: { "HX-Request": "true" } }).catch(() => null);
  if (!response?.ok) return;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  place.replaceChildren(...page.body.childNodes);
  place.querySelector(`[data-entry="${index}"]`)?.classList.add("here");
  place.querySelector(`[data-row="${index}"]`)?.setAttribute("aria-current", "true");
  place.hidden = false;
  place.scrollIntoView({ block: "nearest" });
}
