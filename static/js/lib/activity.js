/**
 * Whether somebody sits here. Keys, presses, the wheel and whatever text comes in (of an input method too, which sends no keys) are told to
 * the server, once a minute over all tabs. Who has been quiet for as long as the server waits sees on their own picture that they are away.
 */

import { keepHere, localOf } from "./mirror.js";
import { phrase } from "./phrases.js";
import { send } from "./request.js";
import { toast } from "./toast.js";

const TELL_MS = 60_000;
const LOOK_MS = 15_000;
const SIGNS = ["keydown", "input", "compositionupdate", "pointerdown", "wheel"];
const MARKS = "#rail-avatar .avatar__presence, #my-presence .avatar__presence";

export function startActivity() {
  const { activity: url, idle } = document.getElementById("my-presence")?.dataset ?? {};
  if (!Number(idle)) return;
  const idleMs = Number(idle) * 60_000;
  const name = `active:${document.body.dataset.me}`; // one for all tabs
  let last = 0; // the newest sign of life that this tab knows of
  let isTold = true;
  const marks = (state) => [...document.querySelectorAll(MARKS)].filter((mark) => mark.dataset.state === state);

  /** Whether there was one within so long. What other tabs have seen is read only where this one knows of none. */
  function isAlive(ms) {
    const since = Date.now() - ms;
    if (last <= since) last = Math.max(last, Number(localOf(name)) || 0);
    return last > since;
  }

  function act() {
    if (isTold && isAlive(Math.min(TELL_MS, idleMs / 2))) return;
    last = Date.now();
    isTold = true;
    keepHere(name, last);
    send("POST", url).catch(() => { isTold = false; }); // the next key tells it
    if (look()) toast(phrase("backFromIdle"));
  }

  /** Show it. True when they are back by this. */
  function look() {
    if (isAlive(idleMs)) {
      const back = marks("away").filter((mark) => "idle" in mark.dataset);
      for (const mark of back) { mark.dataset.state = "online"; delete mark.dataset.idle; }
      return back.length > 0;
    }
    for (const mark of marks("online")) { mark.dataset.state = "away"; mark.dataset.idle = ""; }
    return false;
  }

  for (const sign of SIGNS) addEventListener(sign, act, { capture: true, passive: true });
  document.addEventListener("mail:framed", ({ detail }) => { for (const sign of SIGNS) detail.page.addEventListener(sign, act, { capture: true, passive: true }); });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
  setInterval(look, LOOK_MS);
  act(); // who opens a page is there
}
