// Figures of the lesson's text that are bound to a live view: a copy of its picture, as long as it can be seen.
// A view that is a tab has no one picture; the figure's link opens it.

import { show } from "./tabs.js";

const EVERY_MS = 200;

/** Fill the figures of the text, and let their links open what they show. */
export function startFigures() {
  for (const figure of document.querySelectorAll("figure.live")) {
    const view = document.getElementById(figure.dataset.view);
    if (view instanceof HTMLCanvasElement) mirror(figure.querySelector("[role=img]"), view);
    figure.querySelector("figcaption a").addEventListener("click", (event) => {
      if (!view) return;
      event.preventDefault();
      reveal(view);
      view.scrollIntoView({ block: "nearest" });
      view.focus();
    });
  }
}

/** Bring up the panel that `view` is in, or the one that it is the tab of. */
function reveal(view) {
  if (view.getAttribute("role") === "tab") view.click();
  else show(view.closest("[role=tabpanel]")?.id);
}

/** Keep a copy of the canvas `source` in `frame` while `frame` is on the screen; its place has the right height before. */
function mirror(frame, source) {
  const copy = document.createElement("canvas");
  copy.setAttribute("aria-hidden", "true");
  frame.append(copy);
  new ResizeObserver(() => fit(copy, source)).observe(source); // or the text jumps when it is scrolled into sight
  let timer = 0;
  new IntersectionObserver(([entry]) => {
    clearInterval(timer);
    source.toggleAttribute("data-mirrored", entry.isIntersecting);
    timer = entry.isIntersecting ? setInterval(() => draw(copy, source), EVERY_MS) : 0;
    if (entry.isIntersecting) draw(copy, source);
  }).observe(frame);
}

function draw(copy, source) {
  if (document.hidden || !source.width || !source.height) return;
  fit(copy, source);
  const context = copy.getContext("2d");
  context.clearRect(0, 0, copy.width, copy.height);
  context.drawImage(source, 0, 0);
}

/** Give a copy the size of its source; that empties it, so only where it has another. */
function fit(copy, source) {
  if (!source.width || (copy.width === source.width && copy.height === source.height)) return;
  copy.width = source.width;
  copy.height = source.height;
}
