/**
 * The customer beside the thread and on a page of their own: what is being typed there is never swapped away, folded sections stay
 * folded from one ticket to the next, and the dialog in which two customers become one.
 */

import { keepChoice } from "./request.js";

const SAVE_MS = 500;
const SETTLE_MS = 300; // what was typed is saved first
const PLACES = "#customer-head, #customer-place, #customer-page";

/** `refresh()` fetches the customer anew. Returns `later(run)`: true while somebody types there, and then `run` is called afterwards; ask before the fetch and before the swap. */
export function startCustomer({ refresh, savePanes }) {
  startSections(savePanes);
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
      if (url) keepChoice(url, { closed: closed.join(",") });
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
