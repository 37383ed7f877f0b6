/**
 * Keeps what is being written: on the server after half a second, on this device at once. Saves go one after the other and carry a
 * revision, so that a late one never overwrites a newer text nor brings back a draft that was sent.
 */

import { both, forgetHere, keepHere, localOf } from "./mirror.js";
import { send } from "./request.js";

const PAUSE_MS = 500;
const LONGEST_MS = 15_000; // a save that the network has swallowed must not keep the next one waiting

export class DraftKeeper {
  #timer = null;
  #saving = Promise.resolve();
  #dirty = false;
  #sent = -1; // what was written up to this revision has been sent

  /**
   * `read()` gives {text, route, files, seen, client_uuid}; `said(state, count)` hears saving, saved or kept (on this device only), and how
   * long the provider finds the text, in words, where the server counts that. `isEmpty(words)`: nothing is worth keeping. `join(text)` hears
   * what another tab or device of this person has saved since this composer was opened, and puts it beside what is written here. `waits()`:
   * what was sent from here is on its way; its arrival ends the draft on the server, so until then this device alone keeps what follows it.
   * `posted(text)`: what is written here under this client_uuid was posted before, and is no draft any more.
   */
  constructor({ url, revision, name, read, said, isEmpty = ({ text, files }) => !text.trim() && !files.length, join = () => {}, waits = () => false, posted = null }) {
    Object.assign(this, { url, revision, name, read, said, isEmpty, join, waits, posted });
    this.base = revision; // the newest save on the server that this text continues
  }

  /** What the field has to show where this device kept what the server never got; null if `saved`, the server's text, has it all. */
  rescued(saved) {
    const kept = localOf(this.name);
    if (!kept?.text || kept.text === saved) return null;
    this.keptRoute = kept.route;
    const continues = kept.revision > this.revision && (kept.base ?? this.revision) >= this.revision;
    const text = continues ? kept.text : both(saved, kept.text);
    return text === saved ? null : text;
  }

  /** What stands here goes on from this save of the server's. */
  continue(revision) {
    this.base = Math.max(this.base, revision);
    this.revision = Math.max(this.revision, revision);
  }

  changed() {
    this.#dirty = true;
    this.revision += 1;
    const { text, route } = this.read();
    keepHere(this.name, { text, route, revision: this.revision, base: this.base });
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.flush(), PAUSE_MS);
  }

  /** Save now what is not saved; `leaving` lets the request outlive the page. */
  flush({ leaving = false } = {}) {
    clearTimeout(this.#timer);
    if (!this.#dirty || this.waits()) return this.#saving;
    this.#dirty = false;
    const words = { ...this.read(), revision: this.revision };
    const save = () => this.#save(words, leaving);
    this.#saving = leaving ? save() : this.#saving.then(save);
    return this.#saving;
  }

  async #save(words, keepalive) {
    this.said("saving");
    const { base } = this;
    const isEmpty = this.isEmpty(words);
    const how = { keepalive, signal: AbortSignal.timeout(LONGEST_MS) };
    const answer = await (isEmpty
      ? send("DELETE", `${this.url}?${new URLSearchParams({ revision: words.revision, base, uuid: words.client_uuid })}`, how)
      : send("PUT", this.url, { json: { ...words, base }, ...how })
    ).catch(() => null);
    if (!answer?.ok) {
      this.#dirty ||= this.revision === words.revision;
      this.said("kept");
      return;
    }
    const kept = isEmpty ? null : await answer.json();
    if (kept?.overtaken) {
      this.continue(kept.revision);
      if (this.#sent < words.revision) this.join(kept.text);
      return;
    }
    if (kept?.gone && this.posted && words.client_uuid === this.read().client_uuid) { // else it is a late save of what was sent
      this.posted(words.text);
      return;
    }
    this.continue(words.revision);
    this.said(kept ? "saved" : "", kept ? kept.count : "");
    if (this.revision === words.revision && localOf(this.name)?.text === words.text) forgetHere(this.name); // another tab may keep more of it
  }

  /** What was written up to this revision has left. */
  sent(revision = this.revision) {
    clearTimeout(this.#timer);
    this.#dirty = false;
    this.#sent = revision;
    this.revision += 1;
    forgetHere(this.name);
    this.said("");
  }
}
