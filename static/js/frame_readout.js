// The frame map's cursor: hover or arrow keys say who owns a frame; the table says it for all of them.
import { look } from "./ask.js";
import { h, setAttribute } from "./element.js";
import { frameAt, place, runs } from "./frame_layout.js";
import { FrameMap } from "./frame_map.js";
import * as numbers from "./numbers.js";
import { onTheme, vmClass, vmLetter } from "./patterns.js";

const REST_MS = 140;

export function badge(vmIndex) {
  return h("span", { class: `badge vm-${vmClass(vmIndex)}` }, vmLetter(vmIndex));
}

/** "VM b, guest RAM"; "free". @param {any} entry FrameOwner */
function ownerText(entry) {
  if (entry.owner === "vm") return `VM ${entry.vm}, ${entry.role}`;
  if (entry.owner === "shared") return "shared by VMs";
  return entry.owner === "free" ? "free, owned by nobody" : "the hypervisor";
}

/** @param {import("./lab.js").Lab} lab */
export function startFrameMap(lab) {
  const canvas = document.getElementById("frame-map");
  const readout = document.getElementById("frame-readout");
  const map = new FrameMap(canvas, lab);
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
        h("span", { class: "quiet" }, "Point at a square or use the arrow keys; a click holds it."),
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
    setAttribute(canvas, "aria-valuetext", `Frame ${numbers.frameNumber(hfn)}: ${ownerText(entry)}`);
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
    const to = moved(event.key, map, lab.owners);
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
    map.mark(changed);
    if (map.cursor === null) describe(null);
    if (table.closest("details").open) fillTable(table, lab);
  });
  table.closest("details").addEventListener("toggle", () => fillTable(table, lab));
  new ResizeObserver(() => map.repaint()).observe(canvas.parentElement);
  onTheme(() => map.repaint());
  document.fonts.ready.then(() => map.repaint());
  describe(null);
}

/** How much each owner has: the picture's labels, where frames are too scattered to be written on. */
function summary(lab) {
  const sums = new Map();
  for (const [, count, code] of runs(lab.owners)) {
    const { owner, vm, vm_index } = lab.legend.get(code);
    const sum = sums.get(vm ?? owner) ?? { owner, vm_index, frames: 0 };
    sum.frames += count;
    sums.set(vm ?? owner, sum);
  }
  const order = [...sums.values()].sort(
    (a, b) => (a.vm_index ?? 1e3) - (b.vm_index ?? 1e3) || a.owner.localeCompare(b.owner) * -1,
  );
  return order.map(({ owner, vm_index, frames }) =>
    h("span", { class: "share" }, owner === "vm" ? badge(vm_index) : owner, " ", numbers.size(frames * 4096)),
  );
}

function sentence(entry, hfn) {
  const who =
    entry.owner === "vm"
      ? [badge(entry.vm_index), ` VM ${entry.vm}: ${entry.role}`]
      : [entry.owner];
  return [
    h("b", {}, "Frame ", h("span", { class: "mono" }, numbers.frameNumber(hfn))),
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
  if (frame.gpa) parts.push(`GPA ${numbers.address(frame.gpa)}`, `permissions ${frame.permissions}`);
  else if (frame.owner === "shared") {
    for (const { vm, gpa } of frame.sharers.slice(0, 4)) parts.push(`VM ${vm}, GPA ${numbers.address(gpa)}`);
    if (frame.sharers.length > 4) parts.push(`${frame.sharers.length - 4} more`);
    parts.push("read-only");
  } else if (frame.owner !== "free") parts.push("no guest can reach it");
  facts.textContent = parts.join(" \u00b7 ");
  readout.querySelector(".content").textContent = frame.zero
    ? ", all zero"
    : `, content ${frame.digest.slice(0, 8)}`;
}

/** Where a key leads from the cursor; PageUp and PageDown go to the previous and next owner. */
function moved(key, map, owners) {
  const at = map.cursor ?? 0;
  const last = owners.length - 1;
  const steps = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };
  if (key in steps && map.shape) {
    const [column, row] = place(at, map.shape).map((square, axis) => square + steps[key][axis]);
    const inside = column >= 0 && row >= 0 && column < map.shape.columns && row < map.shape.rows;
    return inside ? Math.min(last, frameAt(column, row, map.shape)) : at;
  }
  if (key === "Home") return 0;
  if (key === "End") return last;
  if (key === "PageDown") return runs(owners).find(([first]) => first > at)?.[0] ?? last;
  if (key === "PageUp") return runs(owners).findLast(([first]) => first < at)?.[0] ?? 0;
  return null;
}

function fillTable(table, lab) {
  const rows = runs(lab.owners).map(([first, count, code]) => {
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
      h("td", {}, ...(entry.owner === "vm" ? [badge(entry.vm_index), ` VM ${entry.vm}`] : [entry.owner])),
      h("td", {}, entry.owner === "vm" ? entry.role : ""),
    );
  });
  table.replaceChildren(...rows);
}
