// What led to an event: GET why?event=N ({chain: [{event, sentence}], end}), the event first, then its cause, and so on.
// Each link of the chain can be gone to.
import { Refused, fetchJson } from "./ask.js";
import { h, sentence } from "./element.js";
import * as numbers from "./numbers.js";
import { told } from "./sentences.js";
import { _ } from "./text.js";

/** Show the chain under what is chosen. @param {HTMLElement} place @param {(event: any) => void} go */
export async function showWhy(place, lab, item, go) {
  place.querySelector(".why")?.remove();
  const box = h("section", { class: "why", "aria-label": _("Why did this happen?") }, h("h3", {}, _("Why did this happen?")));
  try {
    const { chain, end } = await fetchJson(`${lab.url}/why?event=${item.id}`);
    box.append(h("ol", {}, ...chain.map((link) => line(link, go))), h("p", { class: "note" }, told(end)));
  } catch (failure) {
    if (!(failure instanceof Refused)) throw failure;
    box.append(h("p", { class: "note" }, ...sentence(failure.error.message)));
  }
  place.append(box);
}

function line({ event, sentence: said }, go) {
  const button = h("button", { type: "button", class: "small", onclick: () => go(event) }, _("Go there"));
  const words = h("span", {}, told(said), " ", h("span", { class: "quiet" }, numbers.time(event.at_ns)));
  return h("li", {}, h("div", { class: "why-link" }, words, " ", button));
}
