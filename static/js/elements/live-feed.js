/**
 * <live-feed>: the banner of the connection. It appears after a second and a half without one, says what was loaded after, how many
 * answers wait for it, and that a new version is there. It never reloads by itself: somebody may be writing.
 */

import { word } from "../lib/words.js";

const DELAY_MS = 1500;
const SHOWN_MS = 4000;

class LiveFeed extends HTMLElement {
  #timer = null;
  #shown = false;
  #isNew = false;
  #waiting = 0;
  #words = "";

  connectedCallback() {
    this.querySelector("[data-reload]")?.addEventListener("click", () => {
      document.dispatchEvent(new CustomEvent("reload:asked"));
    });
  }

  /** A deploy has changed the scripts. */
  newBuild() {
    this.#isNew = true;
    if (!this.#shown) this.#rest();
  }

  /** How many answers go when the connection is back. */
  waits(count) {
    this.#waiting = count;
    if (this.#shown) this.#say(this.#words, "");
  }

  /** live or away; `loaded` is how many updates the way back has brought. */
  show(state, loaded = 0) {
    clearTimeout(this.#timer);
    if (state !== "live") {
      this.#timer = setTimeout(() => this.#say(navigator.onLine ? word("reconnecting") : word("offline"), ""), DELAY_MS);
    } else if (this.#shown) {
      this.#say(word({ 0: "backNone", 1: "backOne" }[loaded] ?? "back", { count: loaded }), "banner--ok");
      this.#timer = setTimeout(() => this.#rest(), SHOWN_MS);
    }
  }

  #rest() {
    this.#shown = false;
    this.hidden = !this.#isNew;
    if (this.#isNew) this.#draw(word("newBuild"), "banner--info");
  }

  #say(words, kind) {
    this.#shown = true;
    this.hidden = false;
    this.#words = words;
    this.#draw(this.#waiting ? `${words} · ${word("waiting", { count: this.#waiting })}` : words, kind);
  }

  #draw(words, kind) {
    this.firstElementChild.className = `banner ${kind}`.trim();
    this.querySelector("[data-words]").textContent = words;
    const reload = this.querySelector("[data-reload]");
    if (reload) reload.hidden = this.#shown;
  }
}

customElements.define("live-feed", LiveFeed);
