// The line between lesson text and workbench: drag it, or move it with the arrow keys.

const LEAST = 22;
const MOST = 60;
const KEY = "vmlab.lesson-share";

/** Wire the separator; the share of the text (per cent of the page) is remembered in this browser. */
export function startSeparator() {
  const separator = document.getElementById("separator");
  if (!separator) return;
  const columns = separator.parentElement;
  const set = (share) => {
    const kept = Math.min(MOST, Math.max(LEAST, share));
    columns.style.setProperty("--lesson-share", `${kept.toFixed(1)}%`);
    separator.setAttribute("aria-valuenow", String(Math.round(kept)));
    localStorage.setItem(KEY, String(kept));
  };
  const now = () => Number(separator.getAttribute("aria-valuenow"));
  const saved = Number(localStorage.getItem(KEY));
  if (saved) set(saved);

  separator.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -2, ArrowRight: 2, Home: LEAST - now(), End: MOST - now() }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    set(now() + step);
  });
  separator.addEventListener("pointerdown", (event) => {
    separator.setPointerCapture(event.pointerId);
    separator.onpointermove = (move) => set((100 * move.clientX) / columns.clientWidth);
  });
  separator.addEventListener("pointerup", () => (separator.onpointermove = null));
}
