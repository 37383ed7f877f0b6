/** Toasts: one sentence of what happened, and how to undo it. They wait while one looks at them, and Z undoes one after the other. */

import { clone, csrfToken, word } from "./words.js";

const SHOWN_MS = 10_000;
const MOST_UNDOS = 20;
const UNDOABLE_MS = 300_000; // what was done longer ago is not undone by a key pressed in passing
const undos = []; // {act, at}, the newest last

/**
 * Show a sentence. `undo` is a function or an address that is posted to, `action` {words, run} something else to press; `kind` is "" or "error". Returns how to take it away.
 */
export function toast(message, { undo = null, action = null, kind = "", duration = SHOWN_MS } = {}) {
  const region = document.querySelector("toast-region");
  const element = clone(region);
  element.dataset.kind = kind;
  element.querySelector(".toast__text").textContent = message;
  const button = element.querySelector("[data-undo]");
  const close = () => leave(element);
  if (undo) {
    const { act } = offer(() => {
      close();
      return typeof undo === "function" ? undo() : post(undo);
    });
    button.addEventListener("click", act);
  } else if (action) {
    button.textContent = action.words;
    button.addEventListener("click", () => { close(); action.run(); });
  } else {
    button.remove();
  }
  region.append(element);
  while (region.querySelectorAll(".toast").length > 3) region.querySelector(".toast").remove();
  watch(element, duration);
  return close;
}

/** Undo the newest thing that can be; pressed again, the one before. False when there is nothing. It stays possible for a while after the toast has gone. */
export function undoLast() {
  const newest = undos.at(-1);
  if (!newest || Date.now() - newest.at > UNDOABLE_MS) return false;
  newest.act();
  return true;
}

/** Let Z undo something that shows itself elsewhere. Returns how to withdraw the offer. */
export function offerUndo(run) {
  return offer(run).withdraw;
}

/** Once, by Z or by a button. */
function offer(run) {
  const withdraw = () => {
    const at = undos.indexOf(entry);
    if (at >= 0) undos.splice(at, 1);
    return at >= 0;
  };
  const entry = { act: () => (withdraw() ? run() : undefined), at: Date.now() };
  undos.push(entry);
  if (undos.length > MOST_UNDOS) undos.shift();
  return { act: entry.act, withdraw };
}

async function post(url) {
  const answer = await fetch(url, { method: "POST", headers: { "X-CSRFToken": csrfToken(), "HX-Request": "true" } }).catch(() => null);
  if (!answer?.ok) toast(word("failed"), { kind: "error" });
  else document.body.dispatchEvent(new CustomEvent("undone", { detail: { url }, bubbles: true }));
}

/** Take a toast away after its time; the time stands still under the pointer and the focus. */
export function watch(element, duration = SHOWN_MS) {
  let left = duration;
  let started = performance.now();
  let timer = setTimeout(() => leave(element), left);
  const pause = () => { clearTimeout(timer); left -= performance.now() - started; };
  const go = () => { clearTimeout(timer); started = performance.now(); timer = setTimeout(() => leave(element), Math.max(left, 1500)); };
  element.addEventListener("pointerenter", pause);
  element.addEventListener("pointerleave", go);
  element.addEventListener("focusin", pause);
  element.addEventListener("focusout", go);
  element.querySelector("[data-dismiss]")?.addEventListener("click", () => leave(element));
}

function leave(element) {
  element.dataset.leaving = "";
  setTimeout(() => element.remove(), 140);
}
