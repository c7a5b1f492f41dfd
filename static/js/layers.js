// The layers of a map of memory: what their codes mean in words, and how they are painted.
// Data: GET layer?name=&vm=&have= (app/workers/layers.py). Shades and patterns of ink: colours say who, and no layer here does.
import { look } from "./ask.js";
import { emptySquare, patterned } from "./owner_paints.js";
import { palette } from "./patterns.js";
import { _, n_ } from "./text.js";
import * as numbers from "./numbers.js";

/** What the page can show, in this order; "owner" comes from the stream and is of the host, "backing" is of a VM. */
export const LAYERS = {
  owner: _("owner"),
  backing: _("what stands behind it"),
  sharing: _("sharing"),
  dirty: _("dirty"),
  balloon: _("balloon"),
  swap: _("swap"),
  age: _("age of its last use"),
  permissions: _("permissions"),
  heat: _("heat"),
};

const MEANINGS = {
  free: [_("free"), _("no frame")],
  other: [_("the hypervisor's or a table")],
  unknown: [_("not measured")],
  resident: [_("has a frame of its own")],
  shared: [_("shares a frame with others")],
  swapped: [_("is in the swap area")],
  ballooned: [_("given up to the balloon")],
  own: [_("own frame, own content")],
  merged: [_("merged: several pages have this frame (KSM)")],
  "copy-on-write": [_("same content as its original, until somebody writes (clone)")],
  clean: [_("clean: as its copy in the swap area")],
  dirty: [_("dirty: written (D bit)")],
  "never-written": [_("never written: all zero")],
  "in-use": [_("the guest's to use")],
  "no-copy": [_("no copy in the swap area")],
  "has-copy": [_("has a copy in the swap area, too")],
  newest: [_("used before the newest look")],
  recent: [_("used one or two looks ago")],
  earlier: [_("used three to seven looks ago")],
  "not-seen": [_("not used in any look")],
  rwx: ["RWX"],
  rw: ["RW-"],
  rx: [_("R-X: read-only")],
  r: ["R--"],
  none: [_("--- (not mapped)")],
  cold: [_("touched in no look")],
  warm: [_("in one or two looks")],
  hot: [_("in three to five looks")],
  hottest: [_("in more than five looks")],
};

const NOTES = {
  "no-aging": _("Not measured: this host does not clear A bits, so they say nothing. Give it swap and the policy lru or working-set (Configuration, host): it then looks at them in every swap interval."),
  "writes-only": _("Only first writes since a checkpoint are counted: this host does not clear A bits. With swap and the policy lru or working-set (Configuration, host) reads count as well."),
  "one-look": _("Not measured yet: it compares what is found from look to look. Let the lab run while you watch."),
  shadow: _("A VM with shadow paging is not measured: no hart walks its G-stage table, so nothing sets A and D there."),
  "choose-vm": _("A page in a balloon has no frame: choose a VM to see its pages."),
  off: _("This VM is off: it has no memory. Run it to see its pages."),
};

/** The meaning of a code's key. @param {string} vm "" is the host */
export const meaning = (key, vm) => MEANINGS[key]?.[vm && key === "free" ? 1 : 0] ?? key;

/** What a reader has to know about an answer, or "". */
export function noteOf({ note, name, looks, looked_ns }) {
  const said = NOTES[note] ?? "";
  if (!["age", "heat"].includes(name) || looks < 2) return said;
  const looked = n_("{count} look in {time} of virtual time.", "{count} looks in {time} of virtual time.", looks, {
    time: numbers.time(looked_ns),
  });
  return `${looked} ${said}`.trim();
}

/** How codes are painted, by code: shade and pattern of their place in the legend. */
function layerPaints(legend) {
  const colours = palette();
  const table = [];
  let place = 0;
  for (const { code, key } of legend) {
    if (key === "free") table[code] = emptySquare(colours);
    else if (key === "other") table[code] = { word: () => colours.hypervisorSoft.word };
    else if (key === "unknown") table[code] = patterned(5, colours.free.word, colours.edge.word);
    else table[code] = shade(place++, colours);
  }
  return table;
}

/** Five shades of ink, each with a pattern of its own. */
function shade(place, colours) {
  const { tones } = colours;
  const [pattern, solid, mark] = [
    [7, tones[0], tones[1]],
    [0, tones[2], tones[0]],
    [1, tones[3], tones[0]],
    [4, tones[1], tones[3]],
    [3, tones[0], tones[3]],
  ][place % 5];
  return patterned(pattern, solid.word, mark.word);
}

/** One layer of the memory of the host or of a VM: its codes as they were when the server was last asked. */
export class Layer {
  /** @param {import("./lab.js").Lab} lab @param {string} name @param {string} vm */
  constructor(lab, name, vm) {
    this.lab = lab;
    this.name = name;
    this.vm = vm;
    this.codes = new Uint8Array(0);
    this.legend = [];
    this.token = 0;
    this.position = -1;
    this.answer = { name, note: "", looks: 0, looked_ns: 0 };
  }

  paints() {
    return layerPaints(this.legend);
  }

  label() {
    return null;
  }

  /** Ask again. Returns runs of squares that changed ([[first, count], ...]), or null if all of them may have. */
  async refresh() {
    const query = new URLSearchParams({ name: this.name, vm: this.vm, have: String(this.token) });
    const answer = await look(`${this.lab.url}/layer?${query}`);
    if (!answer) return []; // the lab is being rebuilt or the connection is lost: the next state asks again
    const data = await inflated(answer.data);
    const fresh = data.length !== this.codes.length || answer.base === 0 || answer.base !== this.token;
    this.answer = answer;
    this.token = answer.token;
    this.position = answer.position;
    this.legend = answer.legend;
    if (fresh) {
      this.codes = data;
      return null;
    }
    return mixed(this.codes, data);
  }
}

/** Take `change` into `codes` (exclusive or); returns the runs that it touched. */
function mixed(codes, change) {
  const found = [];
  let last = null;
  for (let i = 0; i < change.length; i++) {
    if (!change[i]) continue;
    codes[i] ^= change[i];
    if (last && last[0] + last[1] === i) last[1] += 1;
    else found.push((last = [i, 1]));
  }
  return found;
}

/** The bytes that a base64 text of zlib data stands for. */
async function inflated(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
