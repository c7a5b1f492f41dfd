// The events of one lab, from wherever it runs: one EventSource, opened again when it breaks or the place changes.
// Events and payloads: app/web/README.md, "The stream".

import { openStream, places } from "./transport.js";

const NAMES = ["state", "frames", "lanes", "console", "events"];
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 8000;

/**
 * Follow a lab. Everything is sent whole after each (re)connection.
 * @param {string} url
 * @param {Record<string, (data: any) => void>} handlers by event name
 * @param {(connection: "connecting"|"live"|"lost"|"gone", reason?: string) => void} onConnection
 * @returns {() => void} stop following
 */
export function follow(url, handlers, onConnection) {
  let source = null;
  let timer = 0;
  let wait = FIRST_WAIT_MS;
  let over = false;

  const open = () => {
    source?.close();
    clearTimeout(timer);
    source = openStream(url);
    source.onopen = () => {
      wait = FIRST_WAIT_MS;
      onConnection("live");
    };
    source.onerror = () => {
      source.close();
      if (over) return;
      onConnection("lost");
      timer = setTimeout(open, wait);
      wait = Math.min(2 * wait, LONGEST_WAIT_MS);
    };
    for (const name of NAMES) {
      source.addEventListener(name, (event) => handlers[name]?.(JSON.parse(event.data)));
    }
    source.addEventListener("gone", (event) => {
      stop();
      onConnection("gone", JSON.parse(event.data).reason);
    });
  };
  const move = () => over || open();
  const stop = () => {
    over = true;
    clearTimeout(timer);
    source?.close();
  };
  onConnection("connecting");
  open();
  places.addEventListener("change", move);
  addEventListener("pagehide", () => source?.close());
  addEventListener("pageshow", (event) => event.persisted && !over && open());
  return stop;
}
