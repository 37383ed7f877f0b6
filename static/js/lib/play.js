/**
 * Play: one ticket of a list after the other. When the open one leaves the list by what this person did (solved, snoozed, given
 * away), the next one opens by itself; at the end one is told how many that were.
 */

import { phrase } from "./phrases.js";

export class Play {
  isMine = false; // whether what is being told now was done by this person
  #isOn = false;
  #going = null; // the ticket that is open, or about to be
  #done = 0;

  /** `list()` is the list on the screen, `current()` the open ticket; `open(id)` opens one, `end(words)` goes back to the list. */
  constructor({ list, open, end, current }) {
    Object.assign(this, { list, open, end, current });
    document.addEventListener("ticket:opening", ({ detail }) => { this.#going = detail.ticket; });
    document.addEventListener("ticket:closed", () => { this.#going = null; });
    document.addEventListener("list:shown", () => { if (this.#isOn) this.#switch(false); });
    document.addEventListener("list:left", ({ detail }) => this.#left(detail));
  }

  toggle() {
    this.#switch(!this.#isOn);
    if (!this.#isOn) return true;
    const first = this.list()?.all[0];
    if (!first) {
      this.#switch(false);
      return false;
    }
    this.#done = 0;
    if (!this.current()) this.open(Number(first.dataset.ticket));
    return true;
  }

  #switch(on) {
    this.#isOn = on;
    const button = document.querySelector("[data-command='play.start']");
    button?.setAttribute("aria-pressed", String(on));
  }

  #left({ ticket, next }) {
    if (!this.#isOn || !this.isMine) return;
    this.#done += 1;
    const isLast = !this.list()?.all.length;
    if (isLast) {
      this.#switch(false);
      this.end(phrase("playDone", { n: this.#done }));
    } else if ((this.#going ?? this.current()) === ticket && next) this.open(next);
  }
}
