// How the owner of a frame is painted: the VM's colour and pattern, a frame around its tables, grey for the hypervisor.
// Data: lab.owners (code per frame), lab.legend (code -> FrameOwner).
import { _ } from "./text.js";
import { palette, patternBit, vmLetter } from "./patterns.js";

/** What a FrameMap shows of a lab. @param {import("./lab.js").Lab} lab */
export const ownersOf = (lab) => ({
  get codes() {
    return lab.owners;
  },
  paints() {
    const colours = palette();
    const table = [];
    for (const entry of lab.legend.values()) table[entry.code] = codeColours(entry, colours);
    return table;
  },
  label: (code) => labelOf(lab.legend.get(code)),
});

function labelOf(entry) {
  if (!entry) return null;
  const colours = palette();
  const ground = entry.owner === "free" ? colours.free.css : colours.paper.css;
  if (entry.owner !== "vm") return { text: OWNERS[entry.owner], ink: colours.inkSoft.css, ground };
  const text = entry.role === "guest RAM" ? vmLetter(entry.vm_index) : "";
  return { text, ink: colours.vm(entry.vm_index).solid.css, ground, each: true };
}

const OWNERS = { free: _("free"), hypervisor: _("hypervisor"), shared: _("shared") };

/** How the frames of one code are painted: `word(x, y, ...)` is the colour of a pixel. */
function codeColours(entry, colours) {
  if (entry.owner === "vm") {
    const { solid, mark } = colours.vm(entry.vm_index);
    if (entry.role === "guest RAM") return patterned(entry.vm_index, solid.word, mark.word);
    return {
      word: (x, y, scale, left, top, side) =>
        frameEdge(x - left, y - top, side, scale) ? solid.word : colours.hypervisorSoft.word,
    };
  }
  if (entry.owner === "hypervisor") return { word: () => colours.hypervisorSoft.word };
  if (entry.owner === "shared") {
    return { word: (x, y) => ((x + y) % 4 < 2 ? colours.hypervisorSoft.word : colours.inkSoft.word) };
  }
  return emptySquare(colours);
}

/** A square that nobody has: only its edge, where it is large enough to have one. */
export const emptySquare = (colours) => ({
  word: (x, y, scale, left, top, side) =>
    side >= 4 && frameEdge(x - left, y - top, side, 1) ? colours.rule.word : colours.free.word,
});

/**
 * One of the eight patterns in two colours. Where squares are large enough, each holds the pattern whole, so that
 * scattered ones can be told apart.
 */
export const patterned = (index, solid, mark) => ({
  word: (x, y, scale, left, top, side) =>
    (
      side >= 8 * scale
        ? patternBit(index, Math.floor(((x - left) * 8) / side), Math.floor(((y - top) * 8) / side))
        : side >= 4
          ? small(index, x - left, y - top, side, scale)
          : patternBit(index, Math.floor(x / scale), Math.floor(y / scale))
    )
      ? mark
      : solid,
});

const frameEdge = (x, y, side, thick) => x < thick || y < thick || x >= side - thick || y >= side - thick;

/** The eight patterns in a square of a few pixels: one stroke each. */
function small(index, x, y, side, thick) {
  const middle = (side - thick) / 2;
  const across = (v) => v >= Math.floor(middle) && v < Math.floor(middle) + thick;
  const slash = (v) => Math.abs(v) < thick;
  switch (index % 8) {
    case 0:
      return slash(x + y - (side - 1));
    case 1:
      return Math.hypot(x - (side - 1) / 2, y - (side - 1) / 2) <= side * 0.26;
    case 2:
      return across(y);
    case 3:
      return slash(x + y - (side - 1)) || slash(x - y);
    case 4:
      return across(x);
    case 5:
      return slash(x - y);
    case 6:
      return x < side / 2 === y < side / 2;
    default:
      return frameEdge(x, y, side, thick);
  }
}
