/**
 * The last twenty tickets in memory, and those that are likely next: opening one of them costs no request. What was read last stays
 * readable while there is no connection.
 */

import { parsed } from "./nodes.js";
import { text } from "./request.js";

const idle = window.requestIdleCallback?.bind(window) ?? ((run) => setTimeout(run, 50));

const KEPT = 20;
const FRESH_MS = 180_000; // while events tell what changes: what one of them names is dropped
const RENEW_MS = 120_000; // of what is likely next, so that it is never cold
const STALE_MS = 4_000; // while they do not

export class TicketCache {
  #entries = new Map();
  #customersAt = 0;
  #read = new Map(); // id -> the newest entry that has come, for when no other one can be had

  constructor({ isLive = () => true } = {}) {
    this.isLive = isLive;
  }

  /**
   * {thread, composer, customer}: promises of HTML; `parsed`, the thread's where there was time; `isOld` once something has happened on the
   * ticket since they were asked for. `ahead`: it was a guess of ours.
   */
  get(id, { ahead = false } = {}) {
    const known = this.#entries.get(id);
    const before = this.#read.get(id);
    const fresh = ahead ? RENEW_MS : FRESH_MS;
    const base = `/tickets/${id}/`;
    if (known && Date.now() - known.at < (this.isLive() ? fresh : STALE_MS)) {
      this.#entries.delete(id);
      this.#entries.set(id, known);
      if (!ahead && known.at < this.#customersAt) {
        const { customer } = known;
        known.customer = text(`${base}customer/`).catch(() => customer);
      }
      return known;
    }
    const part = (name, path) => text(path, { ahead }).catch((error) => {
      if (error.status || !before) throw error; // the server has spoken
      return before[name];
    });
    const thread = part("thread", base);
    const rest = (name) => (ahead ? thread.then(() => part(name, `${base}${name}/`)) : part(name, `${base}${name}/`)); // what one reads first comes first
    const entry = { at: Date.now(), ahead, thread, composer: rest("composer"), customer: rest("customer") };
    entry.thread.then(() => this.#keep(id, entry), () => {});
    for (const part of [entry.thread, entry.composer, entry.customer]) part.catch(() => this.drop(id));
    this.#entries.set(id, entry);
    if (this.#entries.size > KEPT) this.#entries.delete(this.#entries.keys().next().value);
    return entry;
  }

  /** Something about a customer has changed; whose they are, the entries do not tell. */
  customersChanged() {
    this.#customersAt = Date.now();
  }

  /** Resolves when all of it is there, or cannot be had. */
  async prefetch(id) {
    if (!id || navigator.connection?.saveData) return;
    const entry = this.get(id, { ahead: true });
    entry.thread.then((html) => idle(() => { if (entry.parsed === undefined) entry.parsed = parsed(html); }), () => {});
    await Promise.allSettled([entry.thread, entry.composer, entry.customer]);
  }

  #keep(id, entry) {
    this.#read.delete(id);
    this.#read.set(id, entry);
    if (this.#read.size > KEPT) this.#read.delete(this.#read.keys().next().value);
  }

  /** It left one's sight: not even what was read stays. */
  forget(id) {
    this.drop(id);
    this.#read.delete(id);
  }

  drop(id) {
    const entry = this.#entries.get(id);
    if (entry) entry.isOld = true; // whoever waits for it is told
    this.#entries.delete(id);
  }

  clear() {
    for (const id of [...this.#entries.keys()]) this.drop(id);
  }
}
