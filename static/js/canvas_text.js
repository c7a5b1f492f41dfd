// Words on a canvas: the page's typefaces (css/tokens.css), a VM's letter, and text that does not fit.
import { palette, vmLetter } from "./patterns.js";

export const FONT = '"Source Sans 3", sans-serif';
export const MONO = '"JetBrains Mono", monospace';

/** Write text in so many pixels, with an ellipsis where it does not fit. @param {CanvasRenderingContext2D} context */
export function clippedText(context, text, x, y, width) {
  if (width < 8) return;
  const whole = context.measureText(text).width;
  if (whole <= width) {
    context.fillText(text, x, y);
    return;
  }
  const letters = Math.max(0, Math.floor((text.length * width) / whole) - 1);
  if (letters) context.fillText(`${text.slice(0, letters)}\u2026`, x, y);
}

/** A VM's letter on a plate of paper, `side` pixels high, its middle at a point. */
export function letterPlate(context, index, x, y, side) {
  const colours = palette();
  const letter = vmLetter(index);
  context.font = `650 ${side - 5}px ${FONT}`;
  const plate = context.measureText(letter).width + 7;
  context.fillStyle = colours.paper.css;
  context.beginPath();
  context.roundRect(x - plate / 2, y - side / 2, plate, side, 3);
  context.fill();
  context.fillStyle = colours.vm(index).solid.css;
  context.textAlign = "center";
  context.fillText(letter, x, y + 0.5);
}
