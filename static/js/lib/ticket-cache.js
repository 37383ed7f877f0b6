/** The last twenty tickets in memory, and those that are likely next: opening one of them costs no request. */

import { text } from "./request.js";

const KEPT = 20;
const FRESH_MS = 60_000; // while events tell what changes
const STALE_MS = 4_000; // while they do not

export class TicketCache {
  #entries = new Map();

  constructor({ isLive = () => true } = {}) {
    this.isLive = isLive;
  }

  /** {thread, composer, customer}: promises of HTML. `ahead` marks a guess of ours. */
  get(id, { ahead = false } = {}) {
    const known = this.#entries.get(id);
    if (known && Date.now() - known.at < (this.isLive() ? FRESH_MS : STALE_MS)) {
      this.#entries.delete(id);
      this.#entries.set(id, known);
      return known;
    }
    const base = `/tickets/${id}/`;
    const entry = { at: Date.now(), thread: text(base, { ahead }), composer: text(`${base}composer/`, { ahead }), customer: text(`${base}customer/`, { ahead }) };
    for (const part of [entry.thread, entry.composer, entry.customer]) part.catch(() => this.drop(id));
    this.#entries.set(id, entry);
    if (this.#entries.size > KEPT) this.#entries.delete(this.#entries.keys().next().value);
    return entry;
  }

  prefetch(id) {
    if (id && !navigator.connection?.saveData) this.get(id, { ahead: true });
  }

  drop(id) {
    this.#entries.delete(id);
  }

  clear() {
    this.#entries.clear();
  }
}
