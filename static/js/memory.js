// "What stands behind their memory?": for each VM a bar of what is resident, shared, swapped, given to the balloon and
// never touched, the same in words and as a table; and a balloon to inflate. Data: state.host.memory, state.vms[].memory.
import { h, setText } from "./element.js";
import { badge } from "./frame_readout.js";
import * as numbers from "./numbers.js";
import { vmClass } from "./patterns.js";
import { words } from "./sentences.js";
import { _, n_ } from "./text.js";

const PAGE = 4096;
const OFF = ["shut off", "crashed"];
const size = (pages) => numbers.size(pages * PAGE);

/** What a VM's pages are, in the order of the bar. @param {any} memory VmMemoryView */
function parts({ pages, resident, shared, swapped, balloon }) {
  const untouched = Math.max(0, pages - resident - shared - swapped - balloon);
  return { resident, shared, swapped, balloon, untouched };
}

const MEANINGS = {
  resident: [_("resident"), _("pages with a host frame of their own")],
  shared: [_("shared"), _("pages that share a host frame with equal pages (KSM)")],
  swapped: [_("swapped"), _("pages in the host's swap area")],
  balloon: [_("ballooned"), _("pages that the guest has given back")],
  untouched: [_("untouched"), _("pages that have no frame yet: the first touch is a demand fault")],
};

/** @param {import("./lab.js").Lab} lab */
export function startMemory(lab) {
  const panel = document.getElementById("panel-ram");
  const draw = () => lab.state?.vms && !panel.hidden && drawAll(lab.state);
  lab.on("state", draw);
  panel.addEventListener("shown", draw);
  panel.addEventListener("shown", () => import("./byte_view.js").then((view) => view.startByteView(lab)), {
    once: true,
  });
  document.getElementById("ram-twin").addEventListener("toggle", draw);
  const open = async () => {
    const { MemoryMap } = await import("./memory_map.js");
    new MemoryMap(lab, panel);
  };
  panel.addEventListener("shown", open, { once: true });
}

function drawAll({ host, vms }) {
  drawHost(document.getElementById("ram-host"), host, vms);
  document.getElementById("no-ram").hidden = vms.length > 0;
  document.getElementById("ram-twin").hidden = vms.length === 0;
  const list = document.getElementById("ram-vms");
  const names = new Set(vms.map((vm) => vm.name));
  for (const item of [...list.children]) if (!names.has(item.dataset.vm)) item.remove();
  for (const [place, vm] of vms.entries()) {
    const item = list.querySelector(`[data-vm="${CSS.escape(vm.name)}"]`) ?? list.appendChild(fresh(vm));
    if (list.children[place] !== item) list.insertBefore(item, list.children[place]);
    drawVm(item, vm);
  }
  drawTable(document.getElementById("ram-table"), vms);
}

function drawHost(place, host, vms) {
  const { memory } = host;
  const on = vms.filter((vm) => !OFF.includes(vm.state));
  const assigned = on.reduce((sum, vm) => sum + vm.memory.pages, 0);
  const used = memory.swap_pages - memory.swap_free;
  const facts = [
    [numbers.size(host.memory_bytes), _("host memory")],
    [size(host.frames_free), _("free")],
    [size(assigned), _("assigned to VMs that are on")],
    memory.overcommit ? [`${memory.overcommit} %`, _("overcommit")] : [_("no"), _("overcommit: a static partition")],
    memory.swap_pages ? [size(used), _("of {size} swap ({policy})", { size: size(memory.swap_pages), policy: memory.swap_policy })] : [_("no"), _("swap")],
    merged(memory),
    [memory.balloon_policy, _("balloons")],
  ];
  const key = JSON.stringify(facts);
  if (place.dataset.key === key) return;
  place.dataset.key = key;
  place.replaceChildren(...facts.map(([value, what]) => h("span", {}, h("b", {}, value), ` ${what}`)));
}

/** What KSM saves; pages that it has merged stay so when it is switched off. */
function merged(memory) {
  if (memory.ksm) return [size(memory.pages_sharing), _("saved by KSM, {ksm}", { ksm: ksm(memory) })];
  if (!memory.pages_sharing) return [_("no"), "KSM"];
  return [size(memory.pages_sharing), _("saved by KSM, which is off now: {ksm}", { ksm: ksm(memory) })];
}

const ksm = ({ pages_shared, breaks }) =>
  `${n_("{count} shared frame", "{count} shared frames", pages_shared)}, ${n_("broken by {count} write", "broken by {count} writes", breaks)}`;

/** The empty entry of a VM; the balloon form is sent by `startAsking` like every form with data-ask. */
function fresh(vm) {
  const url = document.getElementById("workbench").dataset.lab;
  const id = `balloon-${vm.name}`;
  return h(
    "li",
    { dataset: { vm: vm.name } },
    h("h3", {}, h("span", { dataset: { slot: "badge" } }), ` VM ${vm.name} `, slot("state", "quiet")),
    h("div", { class: "ram-bar", dataset: { slot: "bar" } }),
    h("p", { class: "ram-facts", dataset: { slot: "facts" } }),
    h("p", { class: "ram-more", dataset: { slot: "more" } }),
    h(
      "form",
      { method: "post", action: `${url}/actions`, dataset: { ask: "" }, hidden: true },
      h("input", { type: "hidden", name: "verb", value: "set_balloon" }),
      h("input", { type: "hidden", name: "vm", value: vm.name }),
      h("label", { for: id }, _("Ask for a balloon of"), h("span", { class: "unseen" }, ` (VM ${vm.name})`)),
      h("input", { id, name: "target", type: "text", placeholder: "256 KiB", required: true, size: 9 }),
      h("button", { type: "submit", class: "small" }, _("Ask the guest")),
      slot("asked", "quiet"),
    ),
  );
}

const slot = (name, className) => h("span", { class: className, dataset: { slot: name } });

function drawVm(item, vm) {
  const part = (name) => item.querySelector(`[data-slot="${name}"]`);
  const { memory } = vm;
  const off = OFF.includes(vm.state);
  const key = JSON.stringify([memory, vm.state, vm.index]);
  if (item.dataset.key === key) return;
  item.dataset.key = key;
  item.className = `vm-${vmClass(vm.index)}`;
  part("badge").replaceChildren(badge(vm.index));
  setText(part("state"), _(vm.state));
  const counts = parts(memory);
  drawBar(part("bar"), counts, memory.pages, off);
  const held = Object.entries(counts).filter(([, pages]) => pages > 0);
  part("facts").replaceChildren(
    h("span", {}, h("b", {}, size(memory.pages)), ` ${_("assigned")}`),
    ...(off ? [] : held).map(([name, pages]) =>
      h(
        "span",
        { title: `${numbers.exact(pages)} ${MEANINGS[name][1]}` },
        h("i", { class: `ram-key ${name}`, "aria-hidden": "true" }),
        h("b", {}, size(pages)),
        ` ${MEANINGS[name][0]}`,
      ),
    ),
  );
  setText(part("more"), off ? "" : more(vm));
  const form = item.querySelector("form");
  form.hidden = off || !memory.has_balloon;
  setText(
    part("asked"),
    _("now {size}, asked for {target}", { size: size(memory.balloon), target: size(memory.balloon_target) }),
  );
}

function more({ memory, exits }) {
  const said = [
    memory.given && n_("{count} demand fault", "{count} demand faults", memory.given),
    exits["copy on write"] && n_("{count} copy on write", "{count} copies on write", exits["copy on write"]),
    (memory.swapped_in || memory.swapped_out) &&
      n_("{count} page swapped out, {back} back in", "{count} pages swapped out, {back} back in", memory.swapped_out, { back: numbers.count(memory.swapped_in) }),
    memory.working_set && _("{size} used in the last interval", { size: size(memory.working_set) }),
    memory.huge && _("{size} in leaves of 2 MiB", { size: size(memory.huge) }),
    memory.limit && _("limit {size}", { size: size(memory.limit) }),
    memory.reservation && _("reservation {size}", { size: size(memory.reservation) }),
    memory.out_of_memory && _("Out of memory: {why}", { why: words(memory.out_of_memory) }),
  ];
  return said.filter(Boolean).join("; ");
}

function drawBar(bar, counts, pages, off) {
  const shown = Object.entries(counts).filter(([name, count]) => count && name !== "untouched");
  const said = shown.map(([name, count]) => `${MEANINGS[name][0]} ${numbers.percent(count, pages)}`);
  bar.setAttribute("role", "img");
  bar.setAttribute("aria-label", off ? _("It is off and has no memory.") : said.join(", ") || _("nothing touched"));
  bar.replaceChildren(
    ...(off ? [] : shown).map(([name, count]) =>
      h("span", { class: name, style: `width: ${((100 * count) / pages).toFixed(2)}%` }),
    ),
  );
}

function drawTable(body, vms) {
  if (!body.closest("details").open) return;
  const key = JSON.stringify(vms.map((vm) => [vm.name, vm.state, vm.memory]));
  if (body.dataset.key === key) return;
  body.dataset.key = key;
  const cell = (text) => h("td", { class: "number" }, text);
  body.replaceChildren(
    ...vms.map((vm) => {
      const { memory } = vm;
      return h(
        "tr",
        {},
        h("th", { scope: "row" }, badge(vm.index), " ", vm.name),
        cell(size(memory.pages)),
        ...Object.values(parts(memory)).map((pages) => cell(OFF.includes(vm.state) ? "\u2013" : size(pages))),
        ...[memory.given, memory.swapped_in, memory.swapped_out].map((count) => cell(numbers.count(count))),
        ...[memory.limit, memory.reservation].map((pages) => cell(pages ? size(pages) : "none")),
      );
    }),
  );
}
