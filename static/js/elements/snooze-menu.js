/**
 * <snooze-menu>: until when a ticket sleeps, or several; whoever hears what was chosen does it. Times to choose from, or one's own words
 * ("tomorrow 9am", "3일 뒤"), which the server reads while one types: the line shows the moment that Enter would mean.
 */

import { EnterSends } from "../lib/composition.js";
import { nodes } from "../lib/nodes.js";
import { place } from "../lib/popover.js";
import { act, text } from "../lib/request.js";

const PAUSE_MS = 120;

class SnoozeMenu extends HTMLElement {
  #active = 0;
  #asked = null; // the times that are on their way: {said, abort, done}
  #timer = null;

  connectedCallback() {
    this.popup = this.closest("[popover]");
    this.input = this.querySelector("input");
    this.list = this.querySelector("[role=listbox]");
    this.none = this.querySelector("[role=status]");
    this.popup.addEventListener("beforetoggle", (event) => { if (event.newState === "open") this.#ask(); });
    this.popup.addEventListener("toggle", (event) => this.#toggled(event.newState === "open"));
    this.input.addEventListener("input", () => this.#typed());
    this.input.addEventListener("keydown", (event) => this.#key(event));
    this.list.addEventListener("click", (event) => this.#choose(event.target.closest("[role=option]")));
    new EnterSends(this.input, { send: () => this.#enter() });
    if (this.popup.matches(":popover-open")) { // the key that fetched this has opened it
      this.#ask();
      this.input.focus();
    }
  }

  #toggled(isOpen) {
    if (isOpen) this.input.focus();
    else this.input.value = ""; // here and not on opening: what is typed at once must not be lost
  }

  #typed() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ask(), PAUSE_MS);
  }

  #ask() {
    clearTimeout(this.#timer);
    const said = this.input.value.trim();
    this.#asked?.abort.abort();
    const abort = new AbortController();
    const done = text(`${this.dataset.url}?said=${encodeURIComponent(said)}`, { signal: abort.signal }).then((html) => this.#show(html), () => {});
    this.#asked = { said, abort, done };
    return done;
  }

  #show(html) {
    const options = nodes(html);
    options.forEach((option, i) => { option.id = `${this.list.id}-${i}`; });
    this.list.replaceChildren(...options);
    this.none.hidden = options.length > 0;
    this.#go(0);
    const anchor = document.querySelector(`[popovertarget="${this.popup.id}"]`);
    if (anchor && this.popup.matches(":popover-open")) place(this.popup, anchor);
  }

  #go(to) {
    const options = [...this.list.children];
    if (!options.length) {
      this.input.removeAttribute("aria-activedescendant");
      return;
    }
    this.#active = (to + options.length) % options.length;
    options.forEach((option, i) => {
      option.ariaSelected = String(i === this.#active);
      option.toggleAttribute("data-active", i === this.#active);
    });
    this.input.setAttribute("aria-activedescendant", options[this.#active].id);
  }

  #key(event) {
    if (event.isComposing) return;
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    this.#go(this.#active + by);
  }

  /** Never for what stood there before the last letter: first it is read. */
  async #enter() {
    if (this.#asked?.said !== this.input.value.trim()) this.#ask();
    await this.#asked.done;
    this.#choose(this.list.children[this.#active]);
  }

  #choose(option) {
    if (!option) return;
    this.popup.hidePopover();
    const { until = "" } = option.dataset;
    const snooze = () => (until ? act("POST", this.dataset.url, { until }) : act("DELETE", this.dataset.url));
    this.dispatchEvent(new CustomEvent("snooze:chosen", { bubbles: true, detail: { until, snooze } }));
  }
}

customElements.define("snooze-menu", SnoozeMenu);
