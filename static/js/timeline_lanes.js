// The lanes of the timeline: who had each pCPU, what each vCPU did. A full bar runs, grey is the hypervisor, stripes wait, a line
// sleeps, dots are paused or off. Data: lanes of a window (timeline_data.js). `picture`: timeline_picture.js.
import { FONT, letterPlate } from "./canvas_text.js";
import { palette } from "./patterns.js";
import { _ } from "./text.js";
import { BLOCKED, EXIT, IDLE, OFF, PAUSED, READY, RUN, SHARED, UNKNOWN, pcpuCode } from "./timeline_data.js";
import { drawInstructions } from "./timeline_instructions.js";

const LEAST = 0.7; // pixels that a piece is wide at least

/** A pCPU: who had it, exits, and a line where another vCPU was loaded. */
export function drawPcpu(picture, row) {
  drawTrack(picture, row);
  const steps = picture.scene.steps?.[row.key];
  if (steps?.length) drawInstructions(picture, row, steps);
  else drawOwners(picture, row);
}

/** An empty lane. */
function drawTrack({ context, scene }, { top, height }) {
  const { left, right } = scene.layout;
  const colours = palette();
  context.fillStyle = colours.free.css;
  context.fillRect(left, top, right - left, height);
  context.strokeStyle = colours.rule.css;
  context.strokeRect(left + 0.5, top + 0.5, right - left - 1, height - 1);
}

/** Call `draw(code, left, right, piece)` for each piece of a lane that the window shows. */
function eachPiece(picture, lane, draw) {
  const { from, to, layout } = picture.scene;
  for (let piece = lane.first(from); piece < lane.length && lane.starts[piece] < to; piece++) {
    const left = Math.max(layout.left, picture.place(lane.starts[piece]));
    const right = Math.min(layout.right, picture.place(lane.ends[piece]));
    draw(lane.codes[piece], left, right, piece);
  }
}

function drawOwners(picture, row) {
  let before = -1;
  eachPiece(picture, row.lane, (code, left, right, piece) => {
    if (code === SHARED) drawShares(picture, row, piece, left, right, (share) => pcpuFill(picture, share, right - left));
    if (code <= 0) return;
    const { kind, owner } = pcpuCode(code);
    drawTenure(picture, row, { code, kind, left, right });
    if (kind !== "host" && before >= 0 && owner !== before) drawSwitch(picture, left, row);
    if (kind === "run" && right - left >= 17 && row.height >= 14) drawLetter(picture, owner, (left + right) / 2, row);
    before = owner;
  });
}

const indexOf = ({ lab, scene }, owner) => lab.vm(scene.view.owners[owner]?.[0])?.index ?? 0;

function pcpuFill(picture, code, width) {
  const { kind, owner } = pcpuCode(code);
  if (kind === "idle") return null;
  return kind === "run" ? running(picture, indexOf(picture, owner), width) : palette().hypervisor.css;
}

/** How a VM's pieces are filled: with its pattern, where there is room to see one. */
function running({ context }, index, width) {
  return width > 4 ? palette().fill(context, index, 1) : palette().vm(index).solid.css;
}

/** A stretch of a pCPU that one had: an exit is as wide as it was, but never too thin to be seen; a thin one is a tick. */
function drawTenure(picture, { top, height }, { code, kind, left, right }) {
  const { context } = picture;
  const wide = right - left;
  context.fillStyle = pcpuFill(picture, code, wide);
  if (kind === "run") context.fillRect(left, top, Math.max(wide, LEAST), height);
  else if (wide >= 2) context.fillRect(left, top, wide, height);
  else context.fillRect(left, top, Math.max(wide, 1), height * 0.45);
}

/** A line where another vCPU was loaded. */
function drawSwitch({ context, scale }, x, { top, height }) {
  if (scale < 0.0005) return;
  context.fillStyle = palette().ink.css;
  context.fillRect(Math.round(x), top - 1, 1, height + 2);
}

/** A piece that several share: as high as their shares, the longest below. */
function drawShares({ context }, { lane, top, height }, piece, left, right, fill) {
  const whole = lane.ends[piece] - lane.starts[piece];
  const width = Math.max(right - left, LEAST);
  let bottom = top + height;
  lane.shares(piece, (code, cycles) => {
    const style = fill(code);
    const high = (height * cycles) / whole;
    if (!style) return;
    context.fillStyle = style;
    context.fillRect(left, bottom - high, width, high);
    bottom -= high;
  });
}

function drawLetter(picture, owner, x, { top, height }) {
  letterPlate(picture.context, indexOf(picture, owner), x, top + height / 2, Math.min(18, height - 2));
}

/** A vCPU: a full bar while it runs, stripes while it waits for a pCPU, a line while it sleeps, nothing while it is off. */
export function drawVcpu(picture, row) {
  const { context, lab, scene } = picture;
  const { lane, top, height } = row;
  const index = lab.vm(row.vm)?.index ?? 0;
  context.fillStyle = palette().rule.css;
  context.fillRect(scene.layout.left, top + height, scene.layout.right - scene.layout.left, 1);
  eachPiece(picture, lane, (code, left, right, piece) => {
    if (code === SHARED)
      drawShares(picture, row, piece, left, right, (share) => {
        if (share === IDLE) drawSleep(picture, index, left, right, row);
        return stateFill(picture, share, index, right - left);
      });
    else if (code !== UNKNOWN) drawState(picture, code, index, left, right, row);
  });
}

function stateFill(picture, code, index, width) {
  if (code === RUN) return running(picture, index, width);
  if (code === EXIT) return palette().hypervisor.css;
  if (code === READY) return picture.stripes.of(index, true);
  if (code === BLOCKED) return picture.stripes.of(index, false);
  return null;
}

function drawState(picture, code, index, left, right, row) {
  const { context } = picture;
  const { top, height } = row;
  const width = Math.max(right - left, LEAST);
  const fill = stateFill(picture, code, index, width);
  if (fill) {
    const thin = code === EXIT && width < 2;
    context.fillStyle = fill;
    context.fillRect(left, top, thin ? Math.max(width, 1) : width, thin ? height * 0.45 : height);
    if ((code === READY || code === BLOCKED) && width > 3) drawWait(picture, code, left, width, row);
  } else if (code === IDLE) drawSleep(picture, index, left, right, row);
  else if (code === PAUSED || code === OFF) drawDots(picture, left, right, row);
}

function drawSleep({ context }, index, left, right, { top, height }) {
  context.fillStyle = palette().vm(index).solid.css;
  context.fillRect(left, top + height - 2, Math.max(right - left, LEAST), 2);
}

function drawDots({ context }, left, right, { top, height }) {
  context.fillStyle = palette().edge.css;
  for (let x = left; x < right; x += 6) context.fillRect(x, top + height - 2, Math.min(2, right - x), 1);
}

/** The frame of a wait, and in words what it is, where there is room. */
function drawWait({ context }, code, left, width, { top, height }) {
  const colours = palette();
  context.strokeStyle = colours.ink.css;
  context.lineWidth = 1;
  context.strokeRect(left + 0.5, top + 0.5, width - 1, height - 1);
  if (height < 14 || width < 54) return;
  const text = code === READY ? _("waits") : _("swap");
  context.font = `12px ${FONT}`;
  const plate = context.measureText(text).width + 8;
  context.fillStyle = colours.paper.css;
  context.fillRect(left + width / 2 - plate / 2, top + 2, plate, height - 4);
  context.fillStyle = colours.ink.css;
  context.textAlign = "center";
  context.fillText(text, left + width / 2, top + height / 2 + 0.5);
}

/** Thin stripes in a VM's colour on paper: waiting; crossed: waiting for the host's disk. */
export class Stripes {
  /** @param {CanvasRenderingContext2D} context */
  constructor(context) {
    this.context = context;
    this.tiles = new Map();
  }

  /** Forget them, because the colours have changed. */
  forget() {
    this.tiles.clear();
  }

  of(index, plain) {
    const key = `${index % 8}/${plain}`;
    if (!this.tiles.has(key)) this.tiles.set(key, this.context.createPattern(this.tile(index, plain), "repeat"));
    return this.tiles.get(key);
  }

  tile(index, plain) {
    const colours = palette();
    const tile = new OffscreenCanvas(8, 8);
    const draw = tile.getContext("2d");
    draw.fillStyle = colours.paper.css;
    draw.fillRect(0, 0, 8, 8);
    draw.fillStyle = colours.vm(index).solid.css;
    for (let i = 0; i < 8; i++) {
      draw.fillRect(i, 7 - i, 1, 1);
      draw.fillRect(i, (11 - i) % 8, 1, 1);
      if (!plain) draw.fillRect(i, i, 1, 1);
    }
    return tile;
  }
}
