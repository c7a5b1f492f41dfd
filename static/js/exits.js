// "Why did it stop?": exits by reason for each VM, the log of events, and the fault explanations asked from the server.
// Data: state.vms[].exits, `events` (EventView), GET fault?event= as an HTML fragment.
import { reach } from "./transport.js";
import { announce } from "./announcer.js";
import { h, setText } from "./element.js";
import { badge } from "./frame_readout.js";
import * as numbers from "./numbers.js";
import { vmClass } from "./patterns.js";
import { _, n_ } from "./text.js";

const SHOWN = 200;

/** @param {import("./lab.js").Lab} lab */
export function startExits(lab) {
  const log = document.getElementById("log");
  const filter = document.getElementById("log-filter");
  const wanted = () =>
    new Set([...filter.querySelectorAll("input:checked")].flatMap((input) => input.value.split(" ")));
  const redraw = () => fillLog(log, lab, wanted());
  // The first events come before the state that says which VMs there are.
  let stale = true;
  filter.addEventListener("change", redraw);
  lab.on("state", (state) => {
    fillTable(document.getElementById("exits-table"), state.vms, state.host.clock_hz);
    fillTranslations(document.getElementById("translations-table"), state.vms);
    const total = state.vms.reduce((sum, vm) => sum + vm.exits_total, 0);
    setText(document.getElementById("exits-count"), total ? numbers.count(total) : "");
    showFaults(state.vms);
    if (stale) redraw();
    stale = false;
  });
  lab.on("events", ({ events, full }) => {
    full ? (stale = true) : addToLog(log, lab, wanted(), events);
    if (!full)
      for (const event of events) if (event.kind === "fault") announce(`fault ${event.vm}`, event.text);
  });
  startExplaining(lab);
}

/** The exits of a VM by reason, and its world switches, each with the cycles that were charged for it. */
function costs(vm) {
  const rows = Object.entries(vm.exits).map(([reason, count]) => ({
    vm,
    reason,
    count,
    cycles: vm.exit_cycles[reason],
  }));
  const switches = { vm, reason: "world switch", count: vm.switches, cycles: vm.switch_cycles, other: true };
  return vm.switches ? [...rows, switches] : rows;
}

function fillTable(body, vms, hz) {
  const rows = vms.flatMap(costs);
  const most = Math.max(1, ...rows.map((row) => row.cycles));
  const time = (cycles) => numbers.time(numbers.nanoseconds(cycles, hz));
  body.closest("table").hidden = rows.length === 0;
  document.getElementById("no-exits").hidden = rows.length > 0;
  const key = JSON.stringify(rows.map((row) => [row.vm.name, row.reason, row.count, row.cycles]));
  if (body.dataset.key === key) return;
  body.dataset.key = key;
  body.replaceChildren(
    ...rows.map(({ vm, reason, count, cycles, other }) =>
      h(
        "tr",
        { class: `vm-${vmClass(vm.index)}${other ? " quiet" : ""}` },
        h("td", {}, badge(vm.index), " ", vm.name),
        h("th", { scope: "row", lang: "en" }, reason),
        h("td", { class: "number", title: numbers.exact(count) }, numbers.count(count)),
        h("td", { class: "number", title: _("{n} cycles", { n: numbers.exact(cycles) }) }, time(cycles)),
        h("td", { class: "number", title: _("{n} cycles", { n: numbers.three(cycles / count) }) }, time(cycles / count)),
        h(
          "td",
          { class: "wide" },
          h("span", { class: "bar", style: `width: ${((100 * cycles) / most).toFixed(1)}%` }),
        ),
      ),
    ),
  );
}

/** What the TLBs did not have, and what the MMU read for it, so that nested and shadow paging can be compared. */
function fillTranslations(body, vms) {
  const rows = vms.map((vm) => {
    const { itlb_misses, dtlb_misses, walk_references, tlb_flushes } = vm.translations;
    return [vm, itlb_misses + dtlb_misses, walk_references, tlb_flushes];
  });
  const counted = rows.filter(([, misses, references]) => misses || references);
  document.getElementById("translations").hidden = counted.length === 0;
  const key = JSON.stringify(counted.map(([vm, ...counts]) => [vm.name, vm.paging, ...counts]));
  if (body.dataset.key === key) return;
  body.dataset.key = key;
  const number = (value) => h("td", { class: "number", title: numbers.exact(value) }, numbers.count(value));
  body.replaceChildren(
    ...counted.map(([vm, misses, references, flushes]) =>
      h(
        "tr",
        {},
        h("th", { scope: "row" }, badge(vm.index), " ", vm.name),
        h("td", {}, vm.paging),
        number(misses),
        number(references),
        h("td", { class: "number" }, misses ? numbers.three(references / misses) : "\u2013"),
        number(flushes),
      ),
    ),
  );
}

function fillLog(log, lab, kinds) {
  const shown = lab.events.filter((event) => kinds.has(event.kind)).slice(-SHOWN);
  document.getElementById("no-events").hidden = shown.length > 0;
  log.replaceChildren(...shown.reverse().map((event) => line(event, lab)));
}

/** Put new events on top; what stands there keeps focus and place. */
function addToLog(log, lab, kinds, events) {
  const fresh = events.filter((event) => kinds.has(event.kind)).slice(-SHOWN);
  log.prepend(...fresh.reverse().map((event) => line(event, lab)));
  while (log.children.length > SHOWN) log.lastChild.remove();
  document.getElementById("no-events").hidden = log.children.length > 0;
}

function line(event, lab) {
  const vm = event.vm === null ? null : lab.vm(event.vm);
  const explain =
    event.kind === "fault"
      ? h("button", { type: "button", class: "small", dataset: { explain: event.id } }, _("Explain"))
      : null;
  return h(
    "li",
    { class: event.kind },
    h("time", { title: _("position {n}", { n: numbers.exact(event.position) }) }, numbers.time(event.at_ns)),
    vm ? badge(vm.index) : h("span"),
    h("span", {}, h("span", { lang: "en" }, event.text), explain ? " " : null, explain),
  );
}

function showFaults(vms) {
  const faults = vms.filter((vm) => vm.fault !== null);
  const alarm = document.getElementById("fault-count");
  alarm.hidden = faults.length === 0;
  setText(
    alarm,
    n_(
      "{count} fault",
      "{count} faults",
      faults.reduce((sum, vm) => sum + vm.faults, 0),
    ),
  );
  const place = document.getElementById("fault");
  if (place.dataset.event && !faults.some((vm) => vm.fault >= Number(place.dataset.event))) hide(place);
  // The newest fault explains itself until the student picks one.
  const newest = Math.max(...faults.map((vm) => vm.fault));
  if (faults.length && place.dataset.picked !== "yes" && place.dataset.event !== String(newest))
    load(newest, place);
}

function hide(place) {
  place.replaceChildren();
  delete place.dataset.event;
  delete place.dataset.picked;
}

let labUrl = "";

function startExplaining(lab) {
  labUrl = lab.url;
  const place = document.getElementById("fault");
  document.addEventListener("explain", ({ detail }) => load(detail, place, true));
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-explain]");
    if (button) load(Number(button.dataset.explain), place, true);
  });
}

async function load(id, place, picked = false) {
  place.dataset.event = String(id);
  if (picked) place.dataset.picked = "yes";
  const response = await reach(`${labUrl}/fault?event=${id}`, { headers: { "HX-Request": "true" } }).catch(
    () => null,
  );
  if (!response?.ok || place.dataset.event !== String(id)) return;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  place.replaceChildren(...page.body.childNodes);
  if (!picked) return;
  place.tabIndex = -1;
  place.focus({ preventScroll: true });
  place.scrollIntoView({ block: "nearest" });
}
