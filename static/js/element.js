// Make and fill DOM elements.

/**
 * Return a new element. `attributes` may hold `class`, `dataset`, `hidden`, `on<event>` functions, or any attribute;
 * null, undefined and false leave an attribute out. Children are nodes or text; null and false are left out.
 * @param {string} tag
 * @param {Record<string, any>} [attributes]
 * @param {...(Node|string|number|null|false)} children
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "dataset") Object.assign(element.dataset, value);
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(
    ...children
      .filter((child) => child !== null && child !== false)
      .map((child) => (child instanceof Node ? child : String(child))),
  );
  return element;
}

/** A sentence whose `words` in backquotes are code, as nodes. @param {string} text */
export const sentence = (text) => text.split("`").map((part, i) => (i % 2 ? h("code", {}, part) : part));

/** Set an element's text only where it differs, so that selections and readers are left alone. */
export function setText(element, text) {
  if (element && element.textContent !== text) element.textContent = text;
}

/** Set or remove an attribute only where it differs. */
export function setAttribute(element, name, value) {
  if (value === null || value === undefined || value === false) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, String(value));
}

/**
 * The width for which a canvas is to be drawn (CSS pixels): 0 while nobody sees it. A figure of the lesson's text may
 * show a copy of a picture whose own view is hidden (data-mirrored): then it is the width that it had.
 * @param {HTMLCanvasElement} canvas @param {number | undefined} before
 */
export const visibleWidth = (canvas, before) =>
  canvas.parentElement.clientWidth || ("mirrored" in canvas.dataset ? (before ?? 0) : 0);

const SMALL = 13; // --size-1 in CSS pixels, at a browser's own size of type

/** How much larger the page's small type is than usual: a picture grows with it, on a projector for instance. */
export function typeScale() {
  const root = getComputedStyle(document.documentElement);
  return (Number.parseFloat(root.fontSize) * Number.parseFloat(root.getPropertyValue("--size-1"))) / SMALL;
}

/** Return a function that has `act` done at most every `ms`, the last time asked for included. @param {number} ms @param {() => void} act */
export function soon(ms, act) {
  let timer = 0;
  let last = -Infinity;
  return () => {
    timer ||= setTimeout(
      () => {
        timer = 0;
        last = performance.now();
        act();
      },
      Math.max(0, last + ms - performance.now()),
    );
  };
}
