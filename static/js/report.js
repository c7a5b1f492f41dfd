// "Add to my report": keeps a copy of a picture with its caption in this browser (IndexedDB), and shows the copies on the
// page of the report. A picture is {lab, at, title, caption, data, dark}: its lab's URL, when it was pinned, PNG as a data
// URL, whether it was taken in dark colours.
import { announce } from "./announcer.js";
import { h } from "./element.js";
import * as numbers from "./numbers.js";
import { palette } from "./patterns.js";
import { _ } from "./text.js";
import { shown } from "./theme.js";

const NAME_KEY = "vmlab.report-name";
const PLACES = ".picture, .plot, [data-picture]";
const WIDEST = 1600;

/** Run `work` on the store of pictures; resolves to the result of the request that it returns. */
async function inStore(mode, work) {
  const database = await new Promise((done, refuse) => {
    const opening = indexedDB.open("vmlab-report", 1);
    opening.onupgradeneeded = () =>
      opening.result.createObjectStore("pictures", { keyPath: "id", autoIncrement: true }).createIndex("lab", "lab");
    opening.onsuccess = () => done(opening.result);
    opening.onerror = () => refuse(opening.error);
  });
  try {
    const request = work(database.transaction("pictures", mode).objectStore("pictures"));
    return await new Promise((done, refuse) => {
      request.onsuccess = () => done(request.result);
      request.onerror = () => refuse(request.error);
    });
  } finally {
    database.close();
  }
}

/** Give every picture of the workbench its button, also those that are drawn later. @param {import("./lab.js").Lab} lab */
export function startPinning(lab, bench) {
  if (!globalThis.indexedDB) return;
  const offer = () => {
    for (const place of bench.querySelectorAll(PLACES)) {
      const head = place.querySelector(".head");
      if (head && place.querySelector("canvas") && !head.querySelector(".pin"))
        head.querySelector("h2, h3")?.after(pinButton(place, lab));
    }
  };
  offer();
  bench.addEventListener("shown", () => requestAnimationFrame(offer), true);
  lab.on("state", offer);
  new MutationObserver(offer).observe(document.getElementById("plots"), { childList: true });
}

function pinButton(place, lab) {
  const title = () => place.querySelector("h2, h3")?.textContent.trim() ?? "";
  const label = _("Add “{picture}” to my report", { picture: title() });
  return h(
    "button",
    { type: "button", class: "small pin plain", title: label, "aria-label": label, onclick: () => pin(place, title(), lab) },
    icon("pin"),
  );
}

/** What a picture says of itself in words, without advice. */
function said(readout) {
  const copy = readout?.cloneNode(true);
  for (const advice of copy?.querySelectorAll(".quiet") ?? []) advice.remove();
  return [...(copy?.childNodes ?? [])].map((node) => node.textContent.trim()).filter(Boolean).join(", ");
}

/** A symbol of the page's sheet of icons (templates/_icons.html). @param {string} name */
function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("width", "14");
  svg.setAttribute("height", "14");
  svg.setAttribute("fill", "currentColor");
  svg.append(document.createElementNS(svg.namespaceURI, "use"));
  svg.firstChild.setAttribute("href", `#icon-${name}`);
  return svg;
}

async function pin(place, title, lab) {
  const data = snapshot(place);
  if (!data) return announce("report", _("There is nothing to add yet."));
  const when = _("At {when}", { when: numbers.time(lab.state?.now_ns ?? 0) });
  const readout = said(place.querySelector(".readout"));
  await inStore("readwrite", (store) =>
    store.add({ lab: lab.url, at: Date.now(), title, caption: [when, readout].filter(Boolean).join(". "), data, dark: shown() === "dark" }),
  );
  return announce("report", _("“{picture}” is in your report.", { picture: title }));
}

/** The picture as it stands, on the paper it lies on. */
function snapshot(place) {
  const sources = [...place.querySelectorAll("canvas")].filter((one) => one.width && one.clientWidth);
  if (!sources.length) return null;
  const width = Math.min(WIDEST, Math.max(...sources.map((one) => one.width)));
  const scale = width / Math.max(...sources.map((one) => one.width));
  const height = sources.reduce((sum, one) => sum + one.height * scale, 0);
  const copy = h("canvas", { width: Math.round(width), height: Math.round(height) });
  const context = copy.getContext("2d");
  context.fillStyle = palette().paper.css;
  context.fillRect(0, 0, copy.width, copy.height);
  let top = 0;
  for (const one of sources) {
    context.drawImage(one, 0, top, one.width * scale, one.height * scale);
    top += one.height * scale;
  }
  return copy.toDataURL("image/png");
}

/** The page of the report: the name, the pictures, the button to print. */
export async function startReport() {
  const page = document.querySelector("[data-report]");
  if (!page) return;
  const name = document.getElementById("report-name");
  name.value = localStorage.getItem(NAME_KEY) ?? "";
  name.addEventListener("input", () => localStorage.setItem(NAME_KEY, name.value));
  const print = document.getElementById("report-print");
  print.hidden = false;
  print.addEventListener("click", () => globalThis.print());
  if (globalThis.indexedDB) await drawPictures(page.dataset.report);
}

async function drawPictures(lab) {
  const pictures = await inStore("readonly", (store) => store.index("lab").getAll(lab));
  const place = document.getElementById("report-pictures");
  if (pictures.length) place.replaceChildren(...pictures.map((one, at) => figure(one, at, lab)));
}

function figure(one, at, lab) {
  const caption = h("textarea", { rows: 2, "aria-label": _("Caption of figure {n}", { n: at + 1 }) }, one.caption);
  const printed = h("span", { class: "on-paper" }, one.caption);
  caption.addEventListener("input", () => {
    printed.textContent = one.caption = caption.value;
    inStore("readwrite", (store) => store.put(one));
  });
  const remove = async () => {
    await inStore("readwrite", (store) => store.delete(one.id));
    announce("report", _("The picture is removed."));
    const left = await inStore("readonly", (store) => store.index("lab").count(lab));
    if (left) return drawPictures(lab);
    return location.reload();
  };
  return h(
    "figure",
    {},
    h("img", { class: one.dark ? "dark" : "", src: one.data, alt: `${one.title} ${one.caption}` }),
    h(
      "figcaption",
      {},
      h("b", {}, _("Figure {n}: {title}", { n: at + 1, title: one.title })),
      " ",
      printed,
      h("span", { class: "on-screen" }, caption, h("button", { type: "button", class: "small", onclick: remove }, _("Remove"))),
    ),
  );
}
