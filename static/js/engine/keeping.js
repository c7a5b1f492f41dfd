// Keep a lesson in this browser: its page, the engine, what it runs. The service worker serves it when there is no server.
import { _ } from "../text.js";

const KEPT = "vmlab-kept";

/** Why a lesson cannot be kept here, or "". */
export function obstacle() {
  if (!isSecureContext) return _("A lesson can be taken offline only where the page has https, or on this computer itself (localhost).");
  if (!("serviceWorker" in navigator)) return _("This browser cannot keep pages (it has no service workers).");
  return "";
}

/** Fetch and keep everything; `onShare` from 0 to 1. @param {any} parts data-engine of the page */
export async function keepFiles(parts, onShare) {
  await navigator.serviceWorker.register("/static/service-worker.js", { scope: "/" });
  await navigator.serviceWorker.ready;
  const cache = await caches.open(KEPT);
  const images = [...document.querySelectorAll("article img")].map((image) => image.src);
  const pages = [location.pathname, "/", ...images];
  const files = { ...Object.fromEntries(pages.map((page) => [page, 0])), ...parts.files };
  const total = Object.values(files).reduce((sum, bytes) => sum + bytes, 1);
  let kept = 0;
  for (const [url, bytes] of Object.entries(files)) {
    const response = await fetch(url, { cache: "no-cache" });
    if (!response.ok) throw new Error(`${url} cannot be fetched (status ${response.status})`);
    await cache.delete(url, { ignoreSearch: true });
    await cache.put(url, response);
    onShare((kept += bytes) / total);
  }
}

/** Whether the page itself is kept: a browser may have thrown it away. */
export const isKept = async () => Boolean(await (await caches.open(KEPT)).match(location.pathname));
