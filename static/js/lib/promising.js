/** The dialog of a promise begins anew for each ticket; what the customer may be told of one stands in the composer, to be read before it goes. */

import { phrase } from "./phrases.js";
import { toast } from "./toast.js";

const dialog = document.getElementById("promise");

dialog.addEventListener("close", () => fields().replaceWith(Object.assign(document.createElement("div"), { id: fields().id }))); // of this ticket
dialog.addEventListener("htmx:beforeSwap", ({ detail }) => { if (detail.target === fields() && !dialog.open) detail.shouldSwap = false; });

document.body.addEventListener("promise:done", () => { // the button that was pressed goes; what has an id keeps the focus through each swap
  document.activeElement.closest("[data-section=promises]")?.querySelector("summary").focus({ preventScroll: true });
});

function fields() {
  return document.getElementById("promise-fields");
}

/** `desk(ticket)` is its lib/desk.js, if that ticket is open; `toTicket(ticket)` the action of a toast that leads there. */
export function tell({ ticket, words }, { desk, toTicket }) {
  const open = desk(ticket);
  if (!open) { // on its way, or left already: they wait
    document.addEventListener("composer:ready", function wait({ detail }) {
      if (detail.ticket !== ticket) return;
      document.removeEventListener("composer:ready", wait);
      tell({ ticket, words }, { desk, toTicket });
    });
    if (Number(document.getElementById("ticket").dataset.ticket) !== ticket) toast(phrase("wordsWait"), { action: toTicket(ticket) });
    return;
  }
  const app = document.getElementById("app");
  if (app.dataset.side === "open" && innerWidth < 1180) app.dataset.side = ""; // it covers the composer there
  open.add(words);
}
