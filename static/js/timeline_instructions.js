// A pCPU's lane seen so closely that each instruction is a box with its text. Data: steps of `GET trace`.
import { MONO, clippedText } from "./canvas_text.js";
import { palette } from "./patterns.js";

/** Draw the steps of a pCPU. `picture`: timeline_picture.js. */
export function drawInstructions(picture, row, steps) {
  const { context, scene } = picture;
  context.lineWidth = 1;
  for (const step of steps) {
    const [left, right] = [picture.place(step.start_cycles), picture.place(step.end_cycles)];
    if (step.kind === "idle" || right < scene.layout.left || left > scene.layout.right) continue;
    drawBox(picture, row, step, left, right);
    if (step.kind === "instruction" && right - left >= 39 && row.height >= 30) write(context, row, step, left, right - left - 5);
  }
}

/** In the VM's pattern; what the hypervisor did after it, in grey. */
function drawBox({ context, lab, scale }, { top, height }, step, left, right) {
  const colours = palette();
  const ran = step.kind === "instruction";
  context.fillStyle = ran ? colours.fill(context, lab.vm(step.vm)?.index ?? 0, 1) : colours.hypervisor.css;
  context.fillRect(left, top, right - left, height);
  if (!ran) return;
  if (step.exit) {
    context.fillStyle = colours.hypervisor.css;
    context.fillRect(left + scale, top, right - left - scale, height);
  }
  context.fillStyle = colours.paper.css;
  context.fillRect(left, top + 1, 1, height - 2);
}

/** The instruction's name, and its operands below. */
function write(context, { top, height }, step, left, room) {
  const colours = palette();
  context.font = `11px ${MONO}`;
  context.textAlign = "left";
  const [name, operands = ""] = step.text.split(/\s+(.*)/s);
  const plate = Math.min(room, Math.max(context.measureText(name).width, context.measureText(operands).width) + 6);
  context.fillStyle = colours.paper.css;
  context.fillRect(left + 3, top + 4, plate, height - 8);
  context.fillStyle = colours.ink.css;
  clippedText(context, name, left + 6, top + height / 2 - 7, room - 5);
  clippedText(context, operands, left + 6, top + height / 2 + 7, room - 5);
}
