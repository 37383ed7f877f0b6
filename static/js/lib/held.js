/**
 * One's own answers that wait on the server to be sent: their seconds count down, and they can be taken back or sent at once; for as long
 * as that is so also from another ticket, by Z or by the toast that is shown there.
 */

import { phrase } from "./phrases.js";
import { send } from "./request.js";
import { offerUndo, toast } from "./toast.js";
import { word } from "./words.js";

const TICK_MS = 500;
const NOTICE_MS = 4000; // after its moment, when nothing is heard of it
let serverStart = -Infinity; // the server's clock when ours of this page was 0, as its freshest answer tells: what was read late tells less

export class Held {
  #all = new Map(); // ticket -> {ticket, bubble, timer, withdraw, close}: an agent has one on each

  /** `desk(ticket)` and `thread(ticket)`: where that ticket is on the screen, else null; `back(ticket)`: a draft again; `toTicket(ticket)`: what a toast offers. */
  constructor(on) {
    this.on = on;
  }

  has(ticket) {
    return this.#all.has(ticket);
  }

  /** Show it at the end of its thread, or say it where that is not on the screen. */
  show(ticket, bubble) {
    this.end(ticket);
    const one = { ticket, bubble };
    serverStart = Math.max(serverStart, Number(bubble.dataset.now) - performance.now());
    this.#all.set(ticket, one);
    bubble.addEventListener("click", (event) => {
      if (event.target.closest("[data-take-back]")) this.#takeBack(one);
      else if (event.target.closest("[data-send-now]")) this.#sendNow(one);
    });
    this.#place(one);
    if (isShort(one) && this.#all.get(ticket) === one) this.#offer(one);
  }

  /** Its ticket is on the screen again; `bubble`: as its composer shows it, which may have been read before it was sent. */
  arrived(ticket, bubble = null) {
    const known = this.#all.get(ticket);
    if (bubble) this.show(ticket, bubble);
    else if (known) this.#place(known);
  }

  /** Its ticket is left: it can still be taken back. */
  left(ticket) {
    const one = this.#all.get(ticket);
    if (!one) return;
    one.bubble.remove();
    const left = leftOf(one);
    if (!isShort(one) || left <= 0) this.end(ticket);
    else one.close = toast(phrase("leavesSoon"), { action: { words: word("undo"), run: () => this.#takeBack(one) }, duration: left });
  }

  /** It has left, or is a draft again. */
  end(ticket) {
    const one = this.#all.get(ticket);
    if (!one) return;
    this.#all.delete(ticket);
    clearInterval(one.timer);
    one.withdraw?.();
    one.close?.();
    one.bubble.remove();
  }

  /** It has left; `html` is its bubble, where the caller knows it. What was written meanwhile can be saved now. */
  gone(ticket, html = null) {
    this.end(ticket);
    if (html) this.on.thread(ticket)?.apply([html]);
    this.on.desk(ticket)?.released();
  }

  /** The thread has moved on before it left. */
  stopped(ticket) {
    const one = this.#all.get(ticket);
    if (one) this.#ask(one);
  }

  #place(one) {
    const thread = this.on.thread(one.ticket);
    one.close?.();
    if (!thread) {
      this.left(one.ticket);
      return;
    }
    thread.append(one.bubble);
    thread.toEnd();
  }

  #offer(one) {
    one.withdraw = offerUndo(() => this.#takeBack(one));
    this.#tickEvery(one, TICK_MS);
    this.#tick(one);
  }

  async #takeBack(one) {
    if (one.isAsked) return;
    one.isAsked = true;
    const answer = await send("DELETE", one.bubble.dataset.url).catch(() => null);
    one.isAsked = false;
    if (answer?.ok) {
      this.#back(one, await answer.json());
      return;
    }
    toast(answer?.status === 409 ? phrase("hasGone") : word("failed"), { kind: "error" });
    if (!answer && this.#all.get(one.ticket) === one && isShort(one)) this.#offer(one);
  }

  #back(one, draft) {
    if (this.#all.get(one.ticket) === one) this.end(one.ticket);
    this.on.back(one.ticket);
    const desk = this.on.desk(one.ticket);
    if (desk) desk.takenBack(draft);
    else toast(phrase("takenBack"), { action: this.on.toTicket(one.ticket) });
  }

  async #sendNow(one) {
    const answer = await send("POST", one.bubble.dataset.url).catch(() => null);
    if (answer?.status === 201) this.gone(one.ticket, await answer.text());
    else if (answer?.status === 409) this.#ask(one);
    else toast(word("failed"), { kind: "error" });
  }

  #tickEvery(one, ms) {
    clearInterval(one.timer);
    one.timer = setInterval(() => this.#tick(one), ms);
  }

  #tick(one) {
    const left = leftOf(one);
    one.bubble.querySelector("[data-left]").textContent = left > 0 ? phrase("sendingIn", { n: Math.ceil(left / 1000) }) : phrase("sending");
    one.bubble.querySelector("[data-take-back]").hidden = left <= 0;
    if (left > 0) return;
    one.withdraw?.();
    if (!one.bubble.isConnected) this.end(one.ticket);
    else if (left <= -NOTICE_MS) this.#ask(one);
  }

  /** What became of it, where the socket did not tell. */
  async #ask(one) {
    clearInterval(one.timer);
    const draft = await this.#draft(one);
    if (this.#all.get(one.ticket) !== one) return;
    if (draft?.gone) this.gone(one.ticket);
    else if (draft?.stopped) this.#back(one, draft);
    else if (isShort(one)) this.#tickEvery(one, leftOf(one) > 0 ? TICK_MS : NOTICE_MS);
  }

  async #draft({ ticket }) {
    const url = this.on.desk(ticket)?.draftUrl("reply");
    return url ? send("GET", url).then((answer) => (answer.ok ? answer.json() : null)).catch(() => null) : null;
  }
}

const isShort = ({ bubble }) => "short" in bubble.dataset;
const leftOf = ({ bubble }) => Number(bubble.dataset.until) - serverStart - performance.now(); // whatever the clock of this computer says
