// Polite spoken summaries, at most one every two seconds; the newest sentence per subject wins.

const EVERY_MS = 2000;
const waiting = new Map();
let timer = 0;

function speak() {
  timer = 0;
  const region = document.getElementById("announcer");
  if (!region || waiting.size === 0) return;
  region.textContent = [...waiting.values()].join(" ");
  waiting.clear();
  timer = setTimeout(speak, EVERY_MS);
}

/** Say `sentence` soon; a later one about the same `subject` replaces it. */
export function announce(subject, sentence) {
  waiting.set(subject, sentence);
  timer ||= setTimeout(speak, 150);
}
