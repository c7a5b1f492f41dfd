// Tabs after the ARIA pattern: arrows move, one panel shows. Panels are ordinary sections when there is no script.

/**
 * Wire a `[role=tablist]`; buttons name their panel with aria-controls.
 * @param {HTMLElement} list
 * @param {(panel: HTMLElement) => void} [shown] called when a panel comes up
 */
export function startTabs(list, shown = () => {}) {
  list.addEventListener("click", (event) => {
    const tab = event.target.closest("[role=tab]");
    if (tab) choose(tab, shown);
  });
  list.addEventListener("keydown", (event) => {
    const tabs = [...list.querySelectorAll("[role=tab]:not([hidden])")];
    const at = tabs.indexOf(document.activeElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (to === undefined || at < 0) return;
    event.preventDefault();
    const tab = tabs[(to + tabs.length) % tabs.length];
    choose(tab, shown);
    tab.focus();
  });
  const first = list.querySelector("[role=tab][aria-selected=true]");
  if (first) choose(first, shown);
}

/** Bring up the panel of `tab`. */
export function choose(tab, shown = () => {}) {
  for (const other of tab.closest("[role=tablist]").querySelectorAll("[role=tab]")) {
    const mine = other === tab;
    other.setAttribute("aria-selected", String(mine));
    other.tabIndex = mine ? 0 : -1;
    const panel = document.getElementById(other.getAttribute("aria-controls"));
    if (panel && !mine && panel.id !== tab.getAttribute("aria-controls")) panel.hidden = true;
  }
  const panel = document.getElementById(tab.getAttribute("aria-controls"));
  panel.hidden = false;
  shown(panel, tab);
  panel.dispatchEvent(new CustomEvent("shown", { detail: tab }));
}

/** Bring up a panel by its id, from anywhere on the page. @param {string} id */
export function show(id) {
  const tab = document.querySelector(`[role=tab][aria-controls="${id}"]`);
  if (tab) tab.click();
}
