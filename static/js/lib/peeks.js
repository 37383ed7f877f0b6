/** The last words of a ticket beside its link, on hover and focus; Esc takes them away, and one may move into them. */

import { fill, nodes } from "./nodes.js";
import { place } from "./popover.js";
import { text } from "./request.js";

const PEEK_MS = 350;

export function startPeeks() {
  const peek = document.getElementById("peek");
  if (!peek) return;
  let timer = 0;
  let shownFor = null;
  const hide = () => {
    clearTimeout(timer);
    shownFor?.removeAttribute("aria-describedby");
    shownFor = null;
    if (peek.matches(":popover-open")) peek.hidePopover();
  };
  const show = async (link) => {
    const html = await text(link.dataset.peek).catch(() => "");
    if (!html || !link.isConnected || shownFor !== link) return;
    fill(peek, nodes(html));
    peek.showPopover();
    place(peek, link);
    link.setAttribute("aria-describedby", peek.id);
  };
  const arrive = (event) => {
    const link = event.target.closest?.("[data-peek]");
    if (link === shownFor || event.target.closest?.("#peek")) {
      clearTimeout(timer);
      return;
    }
    clearTimeout(timer);
    if (!link) {
      timer = setTimeout(hide, PEEK_MS);
      return;
    }
    hide();
    shownFor = link;
    timer = setTimeout(show, PEEK_MS, link);
  };
  document.addEventListener("pointerover", (event) => { if (event.pointerType === "mouse") arrive(event); });
  document.addEventListener("focusin", (event) => { if (event.target.matches(":focus-visible")) arrive(event); });
  document.addEventListener("click", hide);
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !peek.matches(":popover-open")) return;
    hide();
    event.stopPropagation();
  }, true);
}
