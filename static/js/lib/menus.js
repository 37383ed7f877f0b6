/**
 * Menus whose content comes from the server when they open: options of a property ([data-options]) and whole menus ([data-menu-src]).
 * The menu opens at once, so that what is typed next goes into its filter and is never taken for a command; it is placed again when it
 * is filled. lib/new-options.js adds what a list does not have yet.
 */

import { fill, nodes } from "./nodes.js";
import { place } from "./popover.js";
import { text } from "./request.js";

const KEPT_MS = 10_000;
const kept = new Map();

function ask(url) {
  const known = kept.get(url);
  if (known && Date.now() - known.at < KEPT_MS) return known.html;
  const html = text(url);
  kept.set(url, { at: Date.now(), html });
  html.catch(() => kept.delete(url));
  return html;
}

function fillOptions(list, html) {
  const input = list.closest("select-menu").querySelector("input[type=hidden]:not([data-was])");
  const chosen = new Set(list.closest("select-menu").hasAttribute("multiple") ? input.value.split(",").filter(Boolean) : [input.value]);
  const options = nodes(html);
  options.forEach((option, i) => {
    option.id = `${list.id}-${i}`;
    option.ariaSelected = String(chosen.has(option.dataset.value));
  });
  list.replaceChildren(...options);
}

export function startMenus() {
  document.addEventListener("beforetoggle", (event) => {
    const popover = event.target;
    if (event.newState !== "open" || !popover.matches?.("[popover]")) return;
    const list = popover.querySelector("[data-options]");
    const url = popover.dataset.menuSrc ?? list?.dataset.options;
    if (!url) return;
    popover.dataset.waiting = "";
    ask(url).then((html) => {
      if (!popover.isConnected || popover.dataset.waiting === undefined) return; // an earlier opening has filled it: what was chosen since stays
      if (list) fillOptions(list, html);
      else fill(popover, nodes(html));
      settle(popover);
    }, () => { delete popover.dataset.waiting; });
  }, true);
  document.addEventListener("pointerover", (event) => {
    const button = event.target.closest?.("[popovertarget]");
    const popover = button && document.getElementById(button.getAttribute("popovertarget"));
    const url = popover?.dataset.menuSrc ?? popover?.querySelector("[data-options]")?.dataset.options;
    if (url) ask(url).catch(() => {});
  });
  document.addEventListener("keydown", (event) => {
    const isEscape = event.key === "Escape";
    if ((event.key !== "Enter" && !isEscape) || event.isComposing) return;
    const waiting = event.target.closest?.("[popover][data-waiting]");
    if (!waiting || (isEscape && !waiting.dataset.waiting)) return;
    waiting.dataset.waiting = isEscape ? "close" : "enter"; // what was typed is done when the options are there
    event.preventDefault();
    event.stopPropagation();
  }, true);
}

/** Filled while it is open: narrow by what was typed meanwhile, place it anew, and give the focus to its first line. */
function settle(popover) {
  const { waiting } = popover.dataset;
  delete popover.dataset.waiting;
  if (!popover.matches(":popover-open")) return;
  const anchor = document.querySelector(`[popovertarget="${CSS.escape(popover.id)}"]`);
  if (anchor) place(popover, anchor);
  const filter = popover.querySelector("[role=combobox]");
  if (filter) {
    filter.dispatchEvent(new Event("input", { bubbles: true }));
    if (waiting) filter.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true }));
  } else popover.querySelector("[role^=menuitem]")?.focus();
  if (waiting === "close") popover.hidePopover();
}
