/** What a key changes stands on the screen at once; the server's own fragment follows and has the last word. */

import { fromTemplate } from "./nodes.js";
import { toast } from "./toast.js";
import { word } from "./words.js";

/** The open ticket is mine. Returns, as `showStatus` does, how to show what stood there. */
export function showMine() {
  return show("assignee", fromTemplate("me-template"));
}

/** The same in its row of the list. */
export function showMineIn(row) {
  const place = row?.querySelector(".row__who");
  place?.replaceChildren(place.querySelector(".row__slot"), document.getElementById("mine-template").content.cloneNode(true));
}

export function showStatus(status) {
  return show("status", document.querySelector(`#property-status-menu [data-value="${status}"] [data-label]`)?.cloneNode(true));
}

const places = new WeakMap(); // what stood in them before

function show(property, label) {
  const place = document.querySelector(`#property-${property}-button [data-current]`);
  if (!place || !label) return () => {};
  const before = places.get(place) ?? [...place.childNodes]; // the first time of several
  places.set(place, before);
  place.replaceChildren(label);
  return () => {
    places.delete(place);
    place.replaceChildren(...before);
  };
}

/** Properties that were chosen and not taken by the server are as they were before, and asked for again. */
export function startReverting(refresh) {
  for (const name of ["htmx:responseError", "htmx:sendError"]) {
    document.body.addEventListener(name, ({ detail: { elt } }) => {
      const property = elt?.closest?.(".property");
      if (!property) return;
      property.querySelector("select-menu")?.revert();
      toast(word("failed"), { kind: "error" });
      refresh();
    });
  }
}

/** A day is told when one leaves it, or presses Enter: the browser says "change" at every digit. */
export function startDays() {
  const isDay = (element) => element.matches?.(".property__input[type=date]");
  document.addEventListener("change", (event) => {
    if (event.isTrusted && isDay(event.target) && event.target === document.activeElement) event.stopPropagation();
  }, true);
  document.addEventListener("blur", ({ target }) => {
    if (isDay(target) && target.value !== target.defaultValue) target.dispatchEvent(new Event("change", { bubbles: true }));
  }, true);
}
