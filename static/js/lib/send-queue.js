/**
 * Answers that could not go because there was no connection. They wait on this device, are seen to wait, and go in their order when it is
 * back, in this tab or the next one. Each keeps its client_uuid, so that one which had arrived after all is not sent twice.
 */

import { send } from "./request.js";

const AGAIN_MS = 5000;

export class SendQueue {
  #busy = false;
  #timer = null;

  /** `on`: {changed(entries), sent(entry, html), held(entry, html), refused(entry, status, html)}; held: the server sends it in a moment. */
  constructor({ name, on }) {
    this.name = name;
    this.on = on;
    addEventListener("online", () => this.flush());
    addEventListener("storage", (event) => { if (event.key === name) this.on.changed(this.entries); });
  }

  /** {ticket, kind, url, then, text, revision, fields: [[name, value]]}, in the order in which they were written. */
  get entries() {
    try {
      return JSON.parse(localStorage.getItem(this.name)) ?? [];
    } catch {
      return [];
    }
  }

  of(ticket) {
    return this.entries.filter((entry) => entry.ticket === ticket);
  }

  /** False where this device keeps nothing: then it must stay in the composer. */
  put(entry) {
    if (!this.#write([...this.entries, entry])) return false;
    this.#later();
    return true;
  }

  /** Send what waits, one after the other. What the server refuses is given back and holds up nobody. */
  async flush() {
    if (this.#busy) return;
    this.#busy = true;
    try {
      for (let [entry] = this.entries; entry; [entry] = this.entries) {
        const form = new FormData();
        for (const [name, value] of entry.fields) form.append(name, value);
        const answer = await send("POST", entry.url, { form }).catch(() => null);
        if (!answer || ![201, 202, 403, 404, 409, 422].includes(answer.status)) break;
        const html = await answer.text();
        this.#write(this.entries.filter((other) => idOf(other) !== idOf(entry)));
        if (answer.status === 201) this.on.sent(entry, html);
        else if (answer.status === 202) this.on.held(entry, html);
        else this.on.refused(entry, answer.status, html);
      }
    } finally {
      this.#busy = false;
      if (this.entries.length) this.#later();
    }
  }

  #later() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.flush(), AGAIN_MS);
  }

  #write(entries) {
    try {
      if (entries.length) localStorage.setItem(this.name, JSON.stringify(entries));
      else localStorage.removeItem(this.name);
    } catch {
      return false;
    }
    this.on.changed(entries);
    return true;
  }
}

const idOf = (entry) => Object.fromEntries(entry.fields).client_uuid;
