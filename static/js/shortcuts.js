// Keys for buttons and links: each says its own in aria-keyshortcuts ("Alt+Shift+,"). All have Alt, so that none is in the
// way of typing. Signs are named by their place on a US keyboard, because Alt changes what they produce; letters by the letter.
const CODES = { ",": "Comma", ".": "Period", ";": "Semicolon" };

const isPressed = (keys, event) => {
  const key = keys.split("+").at(-1);
  const same = CODES[key] ? event.code === CODES[key] : event.key.toUpperCase() === key || event.code === `Key${key}`;
  return same && event.shiftKey === keys.includes("Shift");
};

/** Where the focus was last in each place that a link with keys leads to. @type {Map<Element, HTMLElement>} */
const left = new Map();

const places = () => [...document.querySelectorAll("a[data-back]")].map((link) => document.querySelector(link.hash));

/** Go to the place of a link: to its chosen tab, or to where one was in it. @param {HTMLAnchorElement} link */
function go(link) {
  const place = document.querySelector(link.hash);
  const last = left.get(place);
  const tab = place.querySelector(":scope > [role=tab][aria-selected=true]");
  const target = last?.isConnected && last.checkVisibility() ? last : (tab ?? place);
  target.scrollIntoView({ block: "nearest" });
  target.focus();
}

/** Press the button, or follow the link, whose keys are pressed, wherever the focus is. */
export function startShortcuts() {
  document.addEventListener("focusin", ({ target }) => {
    for (const place of places()) if (place !== target && place?.contains(target)) left.set(place, target);
  });
  document.addEventListener("keydown", (event) => {
    if (!event.altKey || event.ctrlKey || event.metaKey || event.defaultPrevented) return;
    const one = [...document.querySelectorAll(":is(button, a)[aria-keyshortcuts]")].find((each) =>
      isPressed(each.getAttribute("aria-keyshortcuts"), event),
    );
    if (!one) return;
    event.preventDefault();
    if (one.hash) go(one);
    else if (!one.disabled) one.click();
  });
}
