/** <ticket-nav>: the lists with how much they hold, kept true by asking now and then. */

import { text } from "../lib/request.js";

const CALM_MS = 4000;

class TicketNav extends HTMLElement {
  #timer = null;
  #current = "";

  connectedCallback() {
    this.addEventListener("htmx:afterSettle", () => { // the views were arranged anew
      if (this.#current) this.show(this.#current);
      this.refresh();
    });
    this.refresh();
  }

  /** Soon, once, however often it is asked for. */
  refreshSoon() {
    this.#timer ??= setTimeout(() => this.refresh(), CALM_MS + Math.random() * CALM_MS);
  }

  async refresh() {
    this.#timer = null;
    const answer = await text(this.dataset.counts).catch(() => "{}");
    for (const [name, words] of Object.entries(JSON.parse(answer))) {
      const place = this.querySelector(`[data-list="${CSS.escape(name)}"] .nav__count`);
      if (place && place.textContent !== words) place.textContent = words;
    }
    this.dispatchEvent(new CustomEvent("nav:counted", { bubbles: true }));
  }

  countOf(name) {
    return this.querySelector(`[data-list="${CSS.escape(name)}"] .nav__count`)?.textContent ?? "";
  }

  /** Where G and this digit lead, null where no view has it. */
  numbered(digit) {
    return this.querySelector(`[data-number="${CSS.escape(digit)}"]`);
  }

  show(name) {
    this.#current = name ?? "";
    for (const link of this.querySelectorAll("[data-list]")) {
      if (link.dataset.list === name) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  }
}

customElements.define("ticket-nav", TicketNav);
