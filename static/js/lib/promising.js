/** What the customer may be told of a promise stands in the composer, below what is written there already, to be read before it goes. */

export function tell({ ticket, words }) {
  const composer = document.querySelector(`#composer-place ticket-composer:has(form[data-ticket="${ticket}"])`);
  if (!composer) { // it is still on its way
    document.addEventListener("composer:ready", ({ detail }) => { if (detail.ticket === ticket) tell({ ticket, words }); }, { once: true });
    return;
  }
  const app = document.getElementById("app");
  if (app.dataset.side === "open" && innerWidth < 1180) app.dataset.side = ""; // it covers the composer there
  composer.show("reply");
  composer.reply.value = [composer.reply.value.trimEnd(), words].filter(Boolean).join("\n\n");
  composer.reply.dispatchEvent(new Event("input", { bubbles: true }));
}
