/**
 * Answers and notes on their way. Each is a thing of its own from the moment it was sent: what is on the screen since then does not matter
 * to it. It is kept on this device until the server has answered, in this tab or the next one, and goes when its files are there and those
 * before it have gone; without a connection it waits. Each keeps its client_uuid, so that one which had arrived after all is not sent twice.
 */

import { send } from "./request.js";

const AGAIN_MS = 5000;
const LONGEST_MS = 15_000; // what the network has swallowed holds up nothing any longer
const MOST = 6; // answers that are none, of a server that is being renewed
const SAID = [201, 202, 403, 404, 409, 422];

export class SendQueue {
  #live = new Map(); // client_uuid -> {entry, files, isReady, end, ended}: what only this page knows of it
  #unkept = []; // where this device keeps nothing
  #attempt = null;
  #isBusy = false;
  #isAsked = false;
  #timer = null;

  /** `on`: {changed(), sent(entry, html, message), held(entry, html), refused(entry, {status, html}, files)}; held: the server sends it in a moment. */
  constructor({ name, on }) {
    this.name = name;
    this.on = on;
    addEventListener("online", () => {
      this.#isAsked = true;
      this.#attempt?.abort();
      this.flush();
    });
    addEventListener("storage", (event) => { if (event.key === name) this.on.changed(); });
  }

  /** {ticket, kind, url, draftUrl, how, text, revision, fields: [[name, value]], waits}, in the order in which they were sent. */
  get entries() {
    return [...this.#kept, ...this.#unkept];
  }

  get #kept() {
    try {
      return JSON.parse(localStorage.getItem(this.name)) ?? [];
    } catch {
      return [];
    }
  }

  /** What is on its way for this ticket; of one whose files are still going up only this page knows. */
  of(ticket, kind = null) {
    return [...this.entries.filter(isOf(ticket, kind)), ...this.unready(ticket, kind)];
  }

  /** Those of them whose files are still going up. */
  unready(ticket, kind) {
    return [...this.#live.values()].filter(({ isReady }) => !isReady).map(({ entry }) => entry).filter(isOf(ticket, kind));
  }

  /** Send it once it is `ready`: a promise, false where a file of it failed. `files`: {desk, chips}, to give back. */
  async go(entry, { files, ready }) {
    const live = { entry, files, isReady: !ready };
    live.end = new Promise((resolve) => { live.ended = resolve; });
    this.#live.set(idOf(entry), live);
    if (ready) this.on.changed();
    if (ready && !(await ready)) {
      this.#live.delete(idOf(entry));
      this.on.changed();
      this.on.refused(entry, { status: 0, html: "" }, files);
      live.ended(false);
      return;
    }
    live.isReady = true;
    if (!this.#keep([...this.#kept, entry])) this.#unkept.push(entry);
    this.on.changed();
    this.flush();
  }

  /** When nothing of this ticket is on its way any more; false where something of it was refused, or has to wait. */
  async settled(ticket) {
    const ends = [...this.#live.values()].filter(({ entry }) => entry.ticket === ticket).map(({ end }) => end);
    return (await Promise.all(ends)).every(Boolean) && !this.of(ticket).length;
  }

  /** Send what waits, one after the other. What the server refuses is given back and holds up nobody. */
  async flush() {
    if (this.#isBusy) return;
    this.#isBusy = true;
    clearTimeout(this.#timer);
    this.#isAsked = false;
    try {
      while (this.entries.length && (await this.#sendFirst()));
    } finally {
      this.#isBusy = false;
      if (this.entries.length) this.#timer = setTimeout(() => this.flush(), this.#isAsked ? 0 : AGAIN_MS);
    }
  }

  /** False when it has to wait, and with it all behind it. */
  async #sendFirst() {
    const [entry] = this.entries;
    const id = idOf(entry);
    const answer = await this.#post(entry);
    const tries = (entry.tries ?? 0) + (answer ? 1 : 0);
    const isLost = !answer && this.#unkept.includes(entry); // it must not wait where it could be forgotten
    if (!SAID.includes(answer?.status) && tries < MOST && !isLost) {
      this.#keep(this.#kept.map((one) => (idOf(one) === id ? { ...one, tries, waits: true } : { ...one, waits: true })));
      entry.tries = tries;
      this.on.changed();
      for (const live of this.#live.values()) if (live.isReady) live.ended(false);
      return false;
    }
    const live = this.#live.get(id);
    const isOurs = live || this.entries.some((one) => idOf(one) === id); // else another tab was faster
    this.#live.delete(id);
    this.#unkept = this.#unkept.filter((one) => one !== entry);
    this.#keep(this.#kept.filter((one) => idOf(one) !== id));
    this.on.changed();
    const isTaken = [201, 202].includes(answer?.status);
    if (answer?.status === 201) this.on.sent(entry, answer.html, answer.message);
    else if (isTaken) this.on.held(entry, answer.html);
    else if (isOurs) this.on.refused(entry, answer ?? { status: 0, html: "" }, live?.files);
    live?.ended(isTaken);
    return true;
  }

  /** {status, html, message}; null without a connection. */
  async #post({ url, fields }) {
    const form = new FormData();
    for (const [name, value] of fields) form.append(name, value);
    this.#attempt = new AbortController();
    const timer = setTimeout(() => this.#attempt.abort(), LONGEST_MS);
    try {
      const answer = await send("POST", url, { form, signal: this.#attempt.signal });
      return { status: answer.status, html: await answer.text(), message: Number(answer.headers.get("X-Message")) };
    } catch {
      return null;
    } finally {
      clearTimeout(timer);
      this.#attempt = null;
    }
  }

  #keep(entries) {
    try {
      if (entries.length) localStorage.setItem(this.name, JSON.stringify(entries));
      else localStorage.removeItem(this.name);
    } catch {
      return false;
    }
    return true;
  }
}

const isOf = (ticket, kind) => (entry) => entry.ticket === ticket && (!kind || entry.kind === kind);
const idOf = (entry) => new Map(entry.fields).get("client_uuid");
