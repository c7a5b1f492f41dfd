// Dark, light, or as the system has it. The choice is a cookie, so that the server renders it without a flash.
import { themeChanged } from "./patterns.js";
import { _ } from "./text.js";

const YEAR = 365 * 24 * 3600;

/** The theme that the page is in: dark or light. */
export function shown() {
  const chosen = document.documentElement.dataset.theme;
  if (chosen) return chosen;
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

function label(button) {
  const text = shown() === "dark" ? _("Use the light theme") : _("Use the dark theme");
  button.setAttribute("aria-label", text);
  button.title = text;
}

/** Wire the theme button of the top bar. */
export function startTheme() {
  const button = document.getElementById("theme-toggle");
  if (!button) return;
  button.hidden = false;
  label(button);
  button.addEventListener("click", () => {
    const next = shown() === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    document.cookie = `theme=${next}; path=/; max-age=${YEAR}; samesite=lax`;
    label(button);
    themeChanged();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    label(button);
    themeChanged();
  });
}
