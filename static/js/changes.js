// Puts the difference of two observations back into the one it was made from (app/workers/changes.py).

/**
 * What `change` makes of `old`; `old` itself stays as it was.
 * @param {any} old @param {any} change
 */
export function applied(old, change) {
  if (change === null || typeof change !== "object" || Array.isArray(change)) return change;
  if ("=" in change) return change["="];
  const fresh = Array.isArray(old) ? old.slice() : { ...old };
  for (const [key, part] of Object.entries(change)) fresh[key] = applied(old[key], part);
  return fresh;
}
