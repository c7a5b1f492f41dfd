// Where what a page asks of its lab goes: to the server, or to the engine in this browser. No other module knows which.
// A place has `reach(url, init) -> Promise<Response>` like fetch, and `stream(url)` like EventSource.

const server = {
  reach: (url, init) => fetch(url, init),
  stream: (url) => new EventSource(url),
};

let place = server;

/** "change" when another place answers from now on: streams have to be opened again. */
export const places = new EventTarget();

/** Let `next` answer, or the server. @param {{reach: typeof fetch, stream: (url: string) => any} | null} next */
export function use(next) {
  place = next ?? server;
  places.dispatchEvent(new Event("change"));
}

export const reach = (url, init) => place.reach(url, init);
export const openStream = (url) => place.stream(url);

// What htmx asks goes the same way.
document.addEventListener("htmx:before:request", (event) => {
  event.detail.ctx.fetch = (url, init) => reach(url, init);
});
