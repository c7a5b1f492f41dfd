// The frame map's cursor: hover or arrow keys say who owns a frame; the table says it for all of them.
import { look } from "./ask.js";
import { h, setAttribute, soon } from "./element.js";
import { movedBy, runsFrom, tally } from "./frame_layout.js";
import { FrameMap } from "./frame_map.js";
import * as numbers from "./numbers.js";
import { ownersOf } from "./owner_paints.js";
import { onTheme, vmClass, vmLetter } from "./patterns.js";
import { _ } from "./text.js";

const REST_MS = 140;
const TABLE_MS = 500;
const MOST_ROWS = 200;
const ALL_FRAMES = 32768; // a table of so many begins with the first

export function badge(vmIndex) {
  return h("span", { class: `badge vm-${vmClass(vmIndex)}` }, vmLetter(vmIndex));
}

/** "VM b, guest RAM"; "free". @param {any} entry FrameOwner */
function ownerText(entry) {
  if (entry.owner === "vm") return _("VM {vm}, {role}", { vm: entry.vm, role: _(entry.role) });
  if (entry.owner === "shared") return _("shared by VMs");
  return entry.owner === "free" ? _("free, owned by nobody") : _("the hypervisor");
}

/** @param {import("./lab.js").Lab} lab */
export function startFrameMap(lab) {
  const canvas = document.getElementById("frame-map");
  const readout = document.getElementById("frame-readout");
  const map = new FrameMap(canvas, ownersOf(lab));
  let details = null;

  const point = (index) => {
    if (index === map.cursor) return;
    map.cursor = index;
    map.ask();
    details?.abort();
    describe(index);
  };
  const describe = (hfn) => {
    if (hfn === null) {
      readout.replaceChildren(
        ...summary(lab),
        h("br"),
        h("span", { class: "quiet" }, _("Point at a square or use the arrow keys; a click holds it.")),
      );
      return;
    }
    const entry = lab.legend.get(lab.owners[hfn]);
    readout.replaceChildren(
      ...sentence(entry, hfn),
      h("br"),
      h("span", { class: "quiet more-facts" }, "\u00a0"),
    );
    setAttribute(canvas, "aria-valuenow", hfn);
    setAttribute(canvas, "aria-valuetext", _("Frame {hfn}: {owner}", { hfn: numbers.frameNumber(hfn), owner: ownerText(entry) }));
    const asked = (details = new AbortController());
    setTimeout(() => asked.signal.aborted || fill(lab, readout, hfn, asked.signal), REST_MS);
  };

  // A click holds the square, so that its addresses can be read off and copied; a second click lets go.
  let held = false;
  canvas.addEventListener("click", (event) => {
    const index = map.at(event.offsetX, event.offsetY);
    held = index !== null && !(held && index === map.cursor);
    point(index);
  });
  canvas.addEventListener("pointermove", (event) => held || point(map.at(event.offsetX, event.offsetY)));
  canvas.addEventListener("pointerleave", () => held || document.activeElement === canvas || point(null));
  canvas.addEventListener("keydown", (event) => {
    if (event.key === "Escape") held = false;
    const to = movedBy(event.key, map.cursor ?? 0, lab.owners, map.shape, 0);
    if (to === null) return;
    event.preventDefault();
    point(to);
  });
  canvas.addEventListener("focus", () => map.cursor === null && point(0));
  canvas.addEventListener("blur", () => held || point(null));
  const table = document.getElementById("frame-table");
  lab.on("frames", (changed) => {
    setAttribute(canvas, "aria-valuemin", 0);
    setAttribute(canvas, "aria-valuemax", lab.owners.length - 1);
    if (changed) map.mark(changed);
    else map.repaint();
    if (map.cursor === null && canvas.clientWidth) describe(null);
    if (table.closest("details").open && canvas.clientWidth) tableSoon();
  });
  // What was not drawn while another view was shown.
  canvas.closest("[role=tabpanel]")?.addEventListener("shown", () => {
    if (map.cursor === null) describe(null);
    if (table.closest("details").open) tableSoon();
  });
  const tableSoon = soon(TABLE_MS, () => fillTable(table, lab, map.cursor ?? 0));
  table.closest("details").addEventListener("toggle", tableSoon);
  new ResizeObserver(() => map.repaint()).observe(canvas.parentElement);
  onTheme(() => map.repaint());
  document.fonts.ready.then(() => map.repaint());
  describe(null);
}

/** How much each owner has: the picture's labels, where frames are too scattered to be written on. */
function summary(lab) {
  const sums = new Map();
  for (const [code, count] of tally(lab.owners).entries()) {
    if (!count) continue;
    const { owner, vm, vm_index } = lab.legend.get(code);
    const sum = sums.get(vm ?? owner) ?? { owner, vm_index, frames: 0 };
    sum.frames += count;
    sums.set(vm ?? owner, sum);
  }
  const order = [...sums.values()].sort(
    (a, b) => (a.vm_index ?? 1e3) - (b.vm_index ?? 1e3) || a.owner.localeCompare(b.owner) * -1,
  );
  return order.map(({ owner, vm_index, frames }) =>
    h("span", { class: "share" }, owner === "vm" ? badge(vm_index) : _(owner), " ", numbers.size(frames * 4096)),
  );
}

function sentence(entry, hfn) {
  const who =
    entry.owner === "vm"
      ? [badge(entry.vm_index), ` VM ${entry.vm}: ${_(entry.role)}`]
      : [_(entry.owner)];
  return [
    h("b", {}, `${_("Frame")} `, h("span", { class: "mono" }, numbers.frameNumber(hfn))),
    " ",
    ...who,
    h("span", { class: "quiet content" }),
  ];
}

async function fill(lab, readout, hfn, signal) {
  const frame = await look(`${lab.url}/frame?hfn=${hfn}`, signal);
  const facts = readout.querySelector(".more-facts");
  if (!frame || signal.aborted || !facts) return;
  const parts = [`HPA ${numbers.address(frame.hpa)}`];
  if (frame.gpa) parts.push(`GPA ${numbers.address(frame.gpa)}`, _("permissions {permissions}", { permissions: frame.permissions }));
  else if (frame.owner === "shared") {
    for (const { vm, gpa } of frame.sharers.slice(0, 4)) parts.push(`VM ${vm}, GPA ${numbers.address(gpa)}`);
    if (frame.sharers.length > 4) parts.push(_("{n} more", { n: frame.sharers.length - 4 }));
    parts.push(_("read-only"));
  } else if (frame.owner !== "free") parts.push(_("no guest can reach it"));
  facts.textContent = parts.join(" \u00b7 ");
  const content = frame.zero ? _("all zero") : _("content {digest}", { digest: frame.digest.slice(0, 8) });
  readout.querySelector(".content").textContent = `, ${content}`;
}

/** The runs of frames with one owner, from the cursor on: a large host has more of them than anybody reads. */
function fillTable(table, lab, at) {
  const found = runsFrom(lab.owners, lab.owners.length <= ALL_FRAMES ? 0 : at, MOST_ROWS);
  const rows = found.map(([first, count, code]) => {
    const entry = lab.legend.get(code);
    return h(
      "tr",
      {},
      h(
        "td",
        { class: "mono" },
        `${numbers.frameNumber(first)} \u2013 ${numbers.frameNumber(first + count - 1)}`,
      ),
      h("td", { class: "number" }, String(count)),
      h("td", { class: "number" }, numbers.size(count * 4096)),
      h("td", {}, ...(entry.owner === "vm" ? [badge(entry.vm_index), ` VM ${entry.vm}`] : [_(entry.owner)])),
      h("td", {}, entry.owner === "vm" ? _(entry.role) : ""),
    );
  });
  const left = lab.owners.length - (found.length ? found.at(-1)[0] + found.at(-1)[1] : 0);
  if (left)
    rows.push(
      h("tr", {}, h("td", { colspan: 5 }, _("{count} more frames: the table begins at the cursor of the map.", { count: left }))),
    );
  table.replaceChildren(...rows);
}
