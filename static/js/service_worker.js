// Serves kept lessons when the server cannot be reached. It only stands in: while there is a server, that answers, so nothing
// is ever stale. What is kept, and when, is decided by the page (engine/keeping.js).

const KEPT = "vmlab-kept";
const PATIENCE_MS = 4000;

addEventListener("install", () => skipWaiting());
addEventListener("activate", (event) => event.waitUntil(clients.claim()));

addEventListener("fetch", (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  const ours = origin === location.origin && /^\/($|lessons\/|static\/|engine\/|texts\/|policies\/catalog$)/.test(pathname);
  if (request.method === "GET" && ours) event.respondWith(answer(request));
});

async function answer(request) {
  const kept = await (await caches.open(KEPT)).match(request, { ignoreSearch: true, ignoreVary: true });
  if (!kept) return fetch(request);
  // A server that is there but does not answer must not keep a lesson from opening.
  const late = new Promise((resolve) => setTimeout(resolve, PATIENCE_MS, kept));
  const live = fetch(request).then((response) => (response.status >= 500 ? kept : response), () => kept);
  return Promise.race([live, late]);
}
