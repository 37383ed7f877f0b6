/** <live-feed>: the banner of the connection. It appears after a second and a half without one, and says what was loaded after. */

import { word } from "../lib/words.js";

const DELAY_MS = 1500;
const SHOWN_MS = 4000;

class LiveFeed extends HTMLElement {
  #timer = null;
  #shown = false;

  /** live or away; `loaded` is how many updates the way back has brought. */
  show(state, loaded = 0) {
    clearTimeout(this.#timer);
    if (state !== "live") {
      this.#timer = setTimeout(() => this.#say(navigator.onLine ? word("reconnecting") : word("offline"), ""), DELAY_MS);
    } else if (this.#shown) {
      this.#say(word("back", { count: loaded }), "banner--ok");
      this.#timer = setTimeout(() => { this.hidden = true; this.#shown = false; }, SHOWN_MS);
    }
  }

  #say(words, kind) {
    this.#shown = true;
    this.hidden = false;
    this.firstElementChild.className = `banner ${kind}`.trim();
    this.querySelector("[data-words]").textContent = words;
  }
}

customElements.define("live-feed", LiveFeed);
