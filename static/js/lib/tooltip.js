/** Tooltips with the key: for [data-tip] and [data-command]. Shown on hover and focus, Esc takes them away, they never cover the pointer. */

import { keyCaps } from "./keys.js";
import { place } from "./popover.js";

const WAIT_MS = 400;

export function startTooltips(keys) {
  const tip = document.createElement("div");
  tip.className = "tooltip";
  tip.popover = "manual";
  tip.role = "tooltip";
  tip.id = "tooltip";
  document.body.append(tip);
  let timer = 0;
  let shownFor = null;

  function hide() {
    clearTimeout(timer);
    shownFor?.removeAttribute("aria-describedby");
    shownFor = null;
    if (tip.matches(":popover-open")) tip.hidePopover();
  }

  function show(element) {
    if (!element.isConnected) return;
    tip.replaceChildren(element.dataset.tip, ...(keys.command(element.dataset.command)?.keys.slice(0, 1).flatMap(keyCaps) ?? []));
    tip.dataset.place = element.closest(".rail") && innerWidth >= 900 ? "right-end" : "bottom-start";
    (element.closest("dialog[open]") ?? document.body).append(tip);
    tip.showPopover();
    place(tip, element);
    if (element.getAttribute("aria-label") !== element.dataset.tip && !element.hasAttribute("aria-describedby")) element.setAttribute("aria-describedby", tip.id);
    shownFor = element;
  }

  function arrive(event, wait) {
    const element = event.target.closest?.("[data-tip]");
    if (element === shownFor) return;
    hide();
    if (element) timer = setTimeout(() => show(element), wait);
  }

  document.addEventListener("pointerover", (event) => { if (event.pointerType === "mouse") arrive(event, WAIT_MS); });
  document.addEventListener("focusin", (event) => { if (event.target.matches(":focus-visible")) arrive(event, 0); });
  document.addEventListener("focusout", hide);
  document.addEventListener("pointerdown", hide);
  document.addEventListener("keydown", (event) => { if (event.key === "Escape" || !event.target.closest?.("[data-tip]")) hide(); }, true);
  document.documentElement.addEventListener("pointerleave", hide);
}
