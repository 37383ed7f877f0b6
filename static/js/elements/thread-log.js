/**
 * <thread-log>: what was said, oldest first. New pieces go to their place in time; a reader at the end stays there, one further up is
 * told. It writes the day lines and the line above what is new to this reader, and fits the frames of mails.
 */

import { keys } from "../lib/keyboard.js";
import { morph } from "../lib/morph.js";
import { fromTemplate, nodes } from "../lib/nodes.js";
import { phrase } from "../lib/phrases.js";
import { writeTimes } from "../lib/time.js";

const NEAR = 80; // px from the end that count as being there

class ThreadLog extends HTMLElement {
  #resizes = null;
  #told = new Set(); // of the ids that were told since the thread was asked for, one set for each time

  connectedCallback() {
    this.scroll = this.closest(".pane__scroll");
    this.ticket = this.closest("#ticket");
    this.#resizes = new ResizeObserver(() => { if (this.#follows) this.toEnd(); });
    this.#resizes.observe(this);
    this.scroll.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.addEventListener("click", (event) => this.#mailTool(event.target.closest("[data-pictures], [data-mail-dark]")));
    this.addEventListener("click", (event) => this.#jump(event.target.closest("[data-jump]")));
    this.addEventListener("htmx:beforeSwap", () => { this.kept = this.scroll.scrollHeight - this.scroll.scrollTop; });
    this.addEventListener("htmx:afterSettle", () => this.#earlierCame());
    this.#tidy();
    this.#unreadLine();
    this.#frames();
    queueMicrotask(() => this.#begin()); // one layout, of all that comes with it
  }

  /** At its end, or at what is new to this reader where that is further up. */
  #begin() {
    if (!this.isConnected) return;
    this.toEnd();
    const line = this.querySelector("#unread-line");
    const isAbove = line && line.getBoundingClientRect().top < this.scroll.getBoundingClientRect().top;
    if (isAbove && (this.querySelector("#since") || this.scroll.scrollHeight > this.scroll.clientHeight * 2)) {
      line.scrollIntoView({ block: "start" });
      this.#follows = this.isAtEnd;
    }
  }

  disconnectedCallback() {
    this.#resizes?.disconnect();
  }

  #follows = true;

  get isAtEnd() {
    return this.scroll.scrollHeight - this.scroll.scrollTop - this.scroll.clientHeight < NEAR;
  }

  get newest() {
    return Math.max(0, ...[...this.querySelectorAll(".message[id]")].map((message) => Number(message.id.slice("message-".length))));
  }

  /** When the last piece that is shown happened, in milliseconds. */
  get newestAt() {
    return Number(this.#pieces.at(-1)?.dataset.at ?? 0);
  }

  toEnd() {
    this.scroll.scrollTop = this.scroll.scrollHeight;
  }

  #scrolled() {
    this.#follows = this.isAtEnd;
    if (this.#follows) this.querySelector(".more-new")?.remove();
  }

  /** Put pieces (HTML) into the thread, each by its id and time. Returns how many are new. */
  apply(items) {
    const fresh = items.flatMap(nodes);
    for (const told of this.#told) for (const { id } of fresh) told.add(id);
    return this.#take(fresh);
  }

  /** The thread is asked for anew: what is told from now on is newer than that. Give what this returns to `become`, and to `answered` in the end. */
  asked() {
    const told = new Set();
    this.#told.add(told);
    return told;
  }

  answered(told) {
    this.#told.delete(told);
  }

  /** Like `fresh`, the thread as the server told it: what was said no more goes, what came before its first piece stays as it was. */
  become(fresh, told) {
    const pieces = [...fresh.querySelectorAll(":scope > [data-at]")];
    const earlier = fresh.querySelector(":scope > #earlier");
    const isGap = earlier && !pieces.some(({ id }) => document.getElementById(id)); // more has come since than one look tells
    const from = isGap || !earlier ? -Infinity : Number(pieces[0].dataset.at);
    const said = new Set(pieces.map(({ id }) => id));
    for (const piece of this.#pieces) if (Number(piece.dataset.at) >= from && !said.has(piece.id) && !told.has(piece.id)) piece.remove();
    if (isGap) {
      this.querySelector(":scope > #earlier")?.remove();
      this.prepend(earlier);
      window.htmx?.process(earlier);
    }
    this.#take(pieces.filter(({ id }) => !told.has(id)));
    if (isGap) this.append(...this.querySelectorAll(":scope > [data-waits], :scope > [data-waiting]"));
  }

  get #pieces() {
    return [...this.querySelectorAll(":scope > [data-at]")];
  }

  #take(items) {
    let fresh = 0;
    for (const node of items) {
      const known = document.getElementById(node.id);
      if (known && known.className === node.className) { // in its place: nothing of it is read out again
        morph(known, node);
        window.htmx?.process(known);
        writeTimes(known);
        continue;
      }
      if (known) known.replaceWith(node);
      else this.#insert(node);
      fresh += known ? 0 : 1;
      window.htmx?.process(node);
    }
    this.#tidy();
    this.#frames();
    if (fresh && this.#follows) this.toEnd();
    else if (fresh) this.#sayNew();
    return fresh;
  }

  /** A bubble that is on its way: shown at once, replaced when the server has it. */
  pending(words, { note = false } = {}) {
    const bubble = fromTemplate("pending-template");
    bubble.querySelector(".text").textContent = words;
    if (note) bubble.classList.replace("message--out", "message--note");
    this.append(bubble);
    this.toEnd();
    return bubble;
  }

  #insert(node) {
    const at = Number(node.dataset.at);
    const later = this.#pieces.findLast((item) => Number(item.dataset.at) <= at);
    if (later) later.after(node);
    else if (this.#pieces.length) this.#headOf(this.#pieces[0]).before(node);
    else this.append(node);
  }

  /** The first of the lines above a piece, or the piece. */
  #headOf(piece) {
    const above = piece.previousElementSibling;
    return above?.matches(".day-line, #unread-line") ? this.#headOf(above) : piece;
  }

  #sayNew() {
    if (this.querySelector(".more-new")) return;
    const button = fromTemplate("more-new-template");
    button.classList.add("more-new--below");
    button.querySelector("span").textContent = phrase("newBelow");
    button.addEventListener("click", () => this.toEnd());
    this.append(button);
  }

  /** Day lines between pieces of different days, in the reader's own zone. */
  #tidy() {
    const known = new Map([...this.querySelectorAll(":scope > .day-line")].map((line) => [line.querySelector("time").dateTime, line]));
    let day = "";
    for (const item of this.#pieces) {
      const at = new Date(Number(item.dataset.at));
      const its = at.toDateString();
      if (its !== day && !known.delete(at.toISOString())) {
        const line = fromTemplate("day-line-template");
        line.querySelector("time").dateTime = at.toISOString();
        item.before(line);
      }
      day = its;
    }
    for (const line of known.values()) line.remove();
  }

  #jump(button) {
    const message = button && document.getElementById(button.dataset.jump);
    if (!message) return;
    message.tabIndex = -1;
    message.focus({ preventScroll: true });
    message.scrollIntoView({ block: "start" });
    this.#follows = this.isAtEnd;
  }

  #unreadLine() {
    const since = this.querySelector("#since");
    if (since) {
      since.before(fromTemplate("unread-line-template"));
      return;
    }
    const read = Number(this.ticket.dataset.read);
    if (!read) return;
    const first = [...this.querySelectorAll(":scope > .message[data-direction='in']")].find((message) => Number(message.id.slice("message-".length)) > read);
    if (first?.previousElementSibling) first.before(fromTemplate("unread-line-template"));
  }

  #earlierCame() {
    this.#tidy();
    this.#frames();
    if (this.kept !== undefined) this.scroll.scrollTop = this.scroll.scrollHeight - this.kept;
    this.kept = undefined;
  }

  /** Pictures from elsewhere on demand; the light sheet of a mail made dark. */
  #mailTool(button) {
    const frame = button?.closest(".bubble").querySelector("iframe[data-mail-frame]");
    if (!frame) return;
    frame.closest(".bubble").dataset.chosen = "";
    if (button.matches("[data-mail-dark]")) {
      const dark = button.ariaPressed !== "true";
      button.ariaPressed = String(dark);
      frame.toggleAttribute("data-dark", dark);
      frame.contentDocument.documentElement.classList.toggle("dark", dark);
      return;
    }
    frame.src = button.dataset.pictures;
    for (const other of button.parentElement.querySelectorAll("[data-pictures]")) other.hidden = true;
  }

  /** A mail's frame is as high as its mail, and hears our keys. Nothing in it runs. */
  #frames() {
    for (const frame of this.querySelectorAll("iframe[data-mail-frame]:not([data-fitted])")) {
      frame.dataset.fitted = "";
      const fit = () => {
        const page = frame.contentDocument;
        if (!page?.body) return;
        const height = Math.ceil(page.documentElement.getBoundingClientRect().height);
        if (height) frame.height = Math.min(Math.max(height, 24), 20_000);
      };
      const loaded = () => {
        fit();
        const page = frame.contentDocument;
        if (!page?.body || page.URL === "about:blank") return;
        page.documentElement.classList.toggle("dark", frame.hasAttribute("data-dark"));
        new ResizeObserver(fit).observe(page.documentElement);
        keys.listen(page);
        document.dispatchEvent(new CustomEvent("mail:framed", { detail: { page } })); // its reader is at work
      };
      frame.addEventListener("load", loaded);
      if (frame.contentDocument?.readyState === "complete") loaded();
    }
  }
}

customElements.define("thread-log", ThreadLog);
