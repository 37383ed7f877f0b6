/**
 * Keeps what is being written: on the server after half a second, on this device at once. Saves go one after the other and carry a
 * revision, so that a late one never overwrites a newer text nor brings back a draft that was sent.
 */

import { send } from "./request.js";

const PAUSE_MS = 500;

export class DraftKeeper {
  #timer = null;
  #saving = Promise.resolve();
  #dirty = false;

  /** `read()` gives {text, route, files, seen, client_uuid}; `said(state, count)` hears saving, saved or kept (on this device only), and how
   * long the provider finds the text, in words, where the server counts that. `isEmpty(words)`: nothing is worth keeping. */
  constructor({ url, revision, name, read, said, isEmpty = ({ text, files }) => !text.trim() && !files.length }) {
    Object.assign(this, { url, revision, name, read, said, isEmpty });
  }

  /** What this device kept and the server has not; null if the server's draft is the newest. */
  rescued() {
    const kept = this.#local();
    return kept && kept.revision > this.revision && kept.text ? kept.text : null;
  }

  changed() {
    this.#dirty = true;
    this.revision += 1;
    this.#keepHere();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.flush(), PAUSE_MS);
  }

  /** Save now what is not saved; `leaving` lets the request outlive the page. */
  flush({ leaving = false } = {}) {
    clearTimeout(this.#timer);
    if (!this.#dirty) return this.#saving;
    this.#dirty = false;
    const words = { ...this.read(), revision: this.revision };
    const save = () => this.#save(words, leaving);
    this.#saving = leaving ? save() : this.#saving.then(save);
    return this.#saving;
  }

  async #save(words, keepalive) {
    this.said("saving");
    const isEmpty = this.isEmpty(words);
    const answer = await (isEmpty
      ? send("DELETE", `${this.url}?revision=${words.revision}`, { keepalive })
      : send("PUT", this.url, { json: words, keepalive })
    ).catch(() => null);
    if (answer?.ok) {
      this.said(isEmpty ? "" : "saved", isEmpty ? "" : (await answer.json()).count);
      if (this.revision === words.revision) this.#forgetHere();
    } else {
      this.#dirty ||= this.revision === words.revision;
      this.said("kept");
    }
  }

  /** It was sent: nothing is to be saved any more. */
  sent() {
    clearTimeout(this.#timer);
    this.#dirty = false;
    this.revision += 1;
    this.#forgetHere();
    this.said("");
    return this.#saving;
  }

  #local() {
    try {
      return JSON.parse(localStorage.getItem(this.name));
    } catch {
      return null;
    }
  }

  #keepHere() {
    try {
      localStorage.setItem(this.name, JSON.stringify({ text: this.read().text, revision: this.revision, at: Date.now() }));
    } catch { /* a full or forbidden store: the server's copy remains */ }
  }

  #forgetHere() {
    try {
      localStorage.removeItem(this.name);
    } catch { /* as above */ }
  }
}
