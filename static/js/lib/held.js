/** One's own answer that waits on the server to be sent: its seconds count down, and it can be taken back or sent at once. */

import { phrase } from "./phrases.js";
import { send } from "./request.js";
import { offerUndo, toast } from "./toast.js";
import { word } from "./words.js";

const NOTICE_MS = 4000; // after its moment, when nothing is heard of it

export class Held {
  #timer = null;
  #withdraw = null;

  /** `back(draft)` gets what was taken back, `gone(html)` hears that it left (html: its bubble, where we know it). */
  constructor({ thread, draftUrl, back, gone }) {
    Object.assign(this, { thread, draftUrl, back, gone });
  }

  /** Show it at the end of the thread. */
  show(bubble) {
    this.end();
    this.bubble = bubble;
    this.thread()?.append(bubble);
    this.thread()?.toEnd();
    bubble.addEventListener("click", (event) => {
      if (event.target.closest("[data-take-back]")) this.takeBack();
      else if (event.target.closest("[data-send-now]")) this.sendNow();
    });
    if (!("short" in bubble.dataset)) return;
    this.#withdraw = offerUndo(() => this.takeBack());
    this.#tick();
    this.#timer = setInterval(() => this.#tick(), 500);
  }

  get isShown() {
    return Boolean(this.bubble?.isConnected);
  }

  /** Not shown any more: it has left, or the ticket is left. */
  end() {
    clearInterval(this.#timer);
    this.#withdraw?.();
    this.#withdraw = null;
    this.bubble?.remove();
    this.bubble = null;
  }

  async takeBack() {
    const url = this.bubble?.dataset.url;
    if (!url) return;
    const answer = await send("DELETE", url).catch(() => null);
    if (answer?.ok) {
      this.end();
      this.back(await answer.json());
    } else {
      toast(answer?.status === 409 ? phrase("hasGone") : word("failed"), { kind: "error" });
    }
  }

  async sendNow() {
    const answer = await send("POST", this.bubble.dataset.url).catch(() => null);
    if (answer?.status === 201) this.#left(await answer.text());
    else if (answer?.status === 409) this.#ask();
    else toast(word("failed"), { kind: "error" });
  }

  #tick() {
    const left = Number(this.bubble.dataset.until) - Date.now();
    this.bubble.querySelector("[data-left]").textContent = left > 0 ? phrase("sendingIn", { n: Math.ceil(left / 1000) }) : phrase("sending");
    this.bubble.querySelector("[data-take-back]").hidden = left <= 0;
    if (left > 0) return;
    this.#withdraw?.();
    if (left > -NOTICE_MS) return;
    clearInterval(this.#timer);
    this.#ask();
  }

  /** What became of it, where the socket did not tell. */
  async #ask() {
    const draft = await send("GET", this.draftUrl).then((answer) => (answer.ok ? answer.json() : null)).catch(() => null);
    if (!this.bubble || !draft) return;
    if (draft.gone) this.#left(null);
    else if (draft.stopped) {
      this.end();
      this.back(draft);
    } else this.#timer = setInterval(() => this.#tick(), NOTICE_MS);
  }

  #left(html) {
    this.end();
    this.gone(html);
  }
}
