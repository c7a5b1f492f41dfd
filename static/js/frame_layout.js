// Where the frames of the map stand: a grid of squares, in blocks of 4 x 4. Geometry only, nothing is drawn here.

/** Frames that are numbered one after another stand together in blocks of 4 x 4, where squares are large enough to see. */
export const SIDE = 4;
export const BLOCK = SIDE * SIDE;
const LEAST_CELL = 3;
const COLUMNS = [32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024]; // all are whole blocks

/**
 * Where each frame stands: as many columns as fill `width` x `height` device pixels best. Where not even one pixel per
 * frame fits, `cell` is 1 and the picture is shown smaller than it is drawn.
 * @typedef {{columns: number, rows: number, cell: number, shown: number, side: number}} Shape
 *   cell: device pixels of a square as drawn; shown: as seen; side: squares along a block (4, or 1 for none)
 * @returns {Shape}
 */
export function layout(frames, width, height) {
  let best = { columns: 0, rows: 0, cell: 0, shown: 0, side: 1 };
  let most = 0;
  for (const columns of COLUMNS) {
    const rows = Math.ceil(frames / columns / SIDE) * SIDE;
    const fitting = Math.min(width / columns, height / rows);
    const shown = fitting >= 1 ? Math.floor(fitting) : fitting;
    if (shown < best.shown || (shown === best.shown && fitting <= most)) continue;
    most = fitting;
    best = { columns, rows, cell: Math.max(1, shown), shown, side: shown >= LEAST_CELL ? SIDE : 1 };
  }
  return best;
}

/** The column and row of a frame. @param {Shape} shape */
export function place(index, { columns, side }) {
  const across = columns / side;
  const block = Math.floor(index / (side * side));
  const inside = index % (side * side);
  return [
    (block % across) * side + (inside % side),
    Math.floor(block / across) * side + Math.floor(inside / side),
  ];
}

/** The frame at a column and row; the inverse of `place`. @param {Shape} shape */
export function frameAt(column, row, { columns, side }) {
  const block = Math.floor(row / side) * (columns / side) + Math.floor(column / side);
  return block * side * side + (row % side) * side + (column % side);
}

/** The maximal runs of frames with one code: [[first, count, code], ...]. @param {Uint8Array} owners */
export function runs(owners) {
  const found = [];
  for (let first = 0, i = 1; i <= owners.length; i++) {
    if (i === owners.length || owners[i] !== owners[first]) {
      found.push([first, i - first, owners[first]]);
      first = i;
    }
  }
  return found;
}

/** How often each code occurs. @param {Uint8Array} codes @returns {Uint32Array} by code */
export function tally(codes) {
  const counts = new Uint32Array(256);
  for (let i = 0; i < codes.length; i++) counts[codes[i]] += 1;
  return counts;
}

/** The run that `at` is in, as [first, count]. @param {Uint8Array} codes */
function runAt(codes, at) {
  let first = at;
  let end = at + 1;
  while (first > 0 && codes[first - 1] === codes[at]) first -= 1;
  while (end < codes.length && codes[end] === codes[at]) end += 1;
  return [first, end - first];
}

/** The next `most` runs from the one that `at` is in: [[first, count, code], ...]. @param {Uint8Array} codes */
export function runsFrom(codes, at, most) {
  const found = [];
  let [first] = runAt(codes, at);
  while (first < codes.length && found.length < most) {
    let end = first + 1;
    while (end < codes.length && codes[end] === codes[first]) end += 1;
    found.push([first, end - first, codes[first]]);
    first = end;
  }
  return found;
}

/** Where a key leads from `at` on a map that shows `shape` from `first` on; null for any other key. */
export function movedBy(key, at, codes, shape, first) {
  const last = codes.length - 1;
  const steps = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };
  if (key in steps && shape) {
    const [column, row] = place(at - first, shape).map((square, axis) => square + steps[key][axis]);
    if (column < 0 || column >= shape.columns) return at;
    if (row < 0 || row >= shape.rows) {
      const beyond = at + Math.sign(row) * shape.columns * shape.side;
      return beyond < 0 || beyond > last ? at : beyond;
    }
    return Math.min(last, first + frameAt(column, row, shape));
  }
  if (key === "Home") return 0;
  if (key === "End") return last;
  const [start, count] = runAt(codes, at);
  if (key === "PageDown") return Math.min(last, start + count);
  if (key === "PageUp") return start > 0 ? runAt(codes, start - 1)[0] : 0;
  return null;
}

/** Rectangles of squares with one owner: blocks (or rows of squares) merged to the right, then downwards. */
export function patches(owners, shape) {
  const step = shape.side;
  const open = new Map();
  const done = [];
  for (let row = 0; row + step <= shape.rows; row += step) {
    const strips = new Map();
    for (let column = 0; column < shape.columns;) {
      const code = blockCode(owners, column, row, shape);
      let end = column + step;
      while (end < shape.columns && code !== null && blockCode(owners, end, row, shape) === code) end += step;
      if (code !== null)
        strips.set(`${column}/${end}/${code}`, {
          left: column,
          right: end,
          top: row,
          bottom: row + step,
          code,
        });
      column = end;
    }
    for (const [key, patch] of open) {
      if (strips.has(key)) strips.set(key, { ...patch, bottom: row + step });
      else done.push(patch);
    }
    open.clear();
    for (const [key, patch] of strips) open.set(key, patch);
  }
  return [...done, ...open.values()];
}

/** The code of a block, or null where it has several owners or lies behind the last frame. */
function blockCode(owners, column, row, shape) {
  const first = frameAt(column, row, shape);
  const size = shape.side * shape.side;
  if (first + size > owners.length) return null;
  for (let i = 1; i < size; i++) if (owners[first + i] !== owners[first]) return null;
  return owners[first];
}
