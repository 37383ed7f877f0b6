/**
 * The customer beside the thread and on a page of their own: what is being typed there is never swapped away, folded sections stay
 * folded from one ticket to the next, a ticket shows its last words in passing, and the dialog in which two customers become one.
 */

import { fill, nodes } from "./nodes.js";
import { place } from "./popover.js";
import { send, text } from "./request.js";

const PEEK_MS = 350;
const SAVE_MS = 500;
const SETTLE_MS = 300; // what was typed is saved first
const PLACES = "#customer-head, #customer-place, #customer-page";

/** `refresh()` fetches the customer anew. Returns `later(run)`: true while somebody types there, and then `run` is called afterwards; ask before the fetch and before the swap. */
export function startCustomer({ refresh, savePanes }) {
  startSections(savePanes);
  startPeeks();
  const again = () => later(refresh) || refresh();
  document.body.addEventListener("customer:changed", again);
  document.body.addEventListener("undone", again);
  document.addEventListener("htmx:afterRequest", ({ detail }) => {
    const form = detail.elt.closest?.(".customer-add form");
    if (form && detail.successful) form.reset();
    if (detail.elt.matches?.("[data-joins]") && detail.successful) detail.elt.closest("dialog").close();
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-join]")) document.getElementById("joining-body").replaceChildren();
  }, true);
  return { later };
}

function later(run) {
  const field = document.activeElement;
  if (!field?.matches?.("input, textarea, select") || !field.closest(PLACES)) return false;
  if (isTouched(field)) {
    field.addEventListener("focusout", () => setTimeout(() => later(run) || run(), SETTLE_MS), { once: true });
    return true;
  }
  document.addEventListener("customer:shown", () => {
    if (document.activeElement === document.body) document.getElementById(field.id)?.focus({ preventScroll: true });
  }, { once: true });
  return false;
}

function isTouched(field) {
  return field.matches("select") ? [...field.options].some((option) => option.selected !== option.defaultSelected) : field.value !== field.defaultValue;
}

/** Which sections are folded: kept on the server, and the same for whatever is shown next. */
function startSections(url) {
  const folded = new Map();
  let timer = 0;
  document.addEventListener("toggle", ({ target: section }) => {
    if (!section.matches?.("details[data-section]") || folded.get(section.dataset.section) === !section.open) return;
    folded.set(section.dataset.section, !section.open);
    clearTimeout(timer);
    timer = setTimeout(() => {
      const closed = [...folded].filter(([, isFolded]) => isFolded).map(([name]) => name);
      if (url) send("POST", url, { form: { closed: closed.join(",") } }).catch(() => {});
    }, SAVE_MS);
  }, true);
  const read = () => {
    for (const section of document.querySelectorAll("details[data-section]")) {
      const name = section.dataset.section;
      if (!folded.has(name)) folded.set(name, !section.open);
      else if (section.open === folded.get(name)) section.open = !folded.get(name);
    }
  };
  document.addEventListener("customer:shown", read);
  read();
}

/** The last words of a ticket beside its link, on hover and focus; Esc takes them away, and one may move into them. */
function startPeeks() {
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
