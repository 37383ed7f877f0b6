/** Lists whose rows have keys, made like fresh ones in place: a row stays the same element wherever it moves, and keeps the focus. */

import { morph } from "./morph.js";

/** `place` becomes like `fresh`; rows (data-key) of lists (data-keyed, their name) are put in the fresh order before they are compared. */
export function arrange(place, fresh) {
  const focused = place.contains(document.activeElement) ? document.activeElement : null;
  for (const list of place.querySelectorAll("[data-keyed]")) {
    const wanted = fresh.querySelector(`[data-keyed="${list.dataset.keyed}"]`);
    if (wanted) order(list, wanted);
  }
  morph(place, fresh);
  if (focused?.isConnected && document.activeElement !== focused) focused.focus({ preventScroll: true });
}

function order(list, fresh) {
  const known = new Map([...list.children].map((row) => [row.dataset.key, row]));
  const wanted = [...fresh.children].map((row) => row.dataset.key);
  for (const [key, row] of known) if (!wanted.includes(key)) row.remove();
  wanted.forEach((key, i) => {
    const row = known.get(key) ?? fresh.children[i].cloneNode(true);
    if (list.children[i] !== row) list.insertBefore(row, list.children[i] ?? null);
  });
}
