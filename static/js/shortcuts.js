// Keys for buttons: a button says its own in aria-keyshortcuts ("Alt+Shift+,"). All have Alt, so that none is in the
// way of typing. Keys are named by their place on a US keyboard, because Alt changes what they produce.
const CODES = { ",": "Comma", ".": "Period", ";": "Semicolon" };

const isPressed = (keys, event) => {
  const parts = keys.split("+");
  return event.code === CODES[parts.at(-1)] && event.shiftKey === parts.includes("Shift");
};

/** Press the button whose keys are pressed, wherever the focus is. */
export function startShortcuts() {
  document.addEventListener("keydown", (event) => {
    if (!event.altKey || event.ctrlKey || event.metaKey || event.defaultPrevented) return;
    const button = [...document.querySelectorAll("button[aria-keyshortcuts]")].find((one) =>
      isPressed(one.getAttribute("aria-keyshortcuts"), event),
    );
    if (!button) return;
    event.preventDefault();
    if (!button.disabled) button.click();
  });
}
