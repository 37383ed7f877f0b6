/**
 * <ticket-composer>: what the composer does by itself: the two tabs keep their own text, Enter sends by the reader's setting and the
 * channel, Escape leaves, the counter appears near a channel's limit, one press sends once. Talking to the server (drafts, files, send)
 * is of whoever listens: it fires `composer:send` {kind, then, form}; cancel it to send by other means than the form's own post.
 */

import { EnterSends } from "../lib/composition.js";
import { keys } from "../lib/keyboard.js";
import { keyMap } from "../lib/words.js";

const CHAT_LIKE = new Set(["sms", "webchat", "whatsapp", "messenger", "instagram", "line", "kakao", "telegram", "x"]);

class TicketComposer extends HTMLElement {
  #off = [];

  connectedCallback() {
    this.form = this.querySelector("form");
    this.reply = this.form.elements.text;
    this.note = this.form.elements.note;
    for (const field of [this.reply, this.note]) {
      const plain = () => keyMap.sendKey === "enter" && (this.kind === "note" ? false : CHAT_LIKE.has(this.channel));
      new EnterSends(field, { send: (how) => this.send(how === "send_solve" ? "solved" : "", how === "send_line"), plain });
      field.addEventListener("input", () => this.#count());
      field.addEventListener("keydown", (event) => this.#escape(event));
      if (!CSS.supports("field-sizing", "content")) field.addEventListener("input", () => this.#grow(field));
    }
    for (const name of ["to", "cc"]) this.form.elements[name].addEventListener("keydown", (event) => this.#onwards(event));
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.send(event.submitter?.name === "then" ? event.submitter.value : "");
    });
    this.form.addEventListener("mousedown", (event) => { // on a phone a composer without the focus folds, away from under the thumb
      if (event.target.closest(".segments label, .composer__tools label")) event.preventDefault();
    });
    this.form.addEventListener("change", (event) => {
      if (event.target.name === "kind") this.field.focus();
      if (event.target.name === "route") this.address();
      this.#count();
    });
    this.#off = [
      keys.on("ticket.reply", () => this.show("reply"), { when: () => !this.isLeft }),
      keys.on("ticket.note", () => this.show("note"), { when: () => !this.isLeft }),
      keys.on("composer.leave", () => this.field.blur()),
    ];
    this.#count();
  }

  disconnectedCallback() {
    for (const off of this.#off) off();
  }

  /** Another ticket is about to be shown: keys mean that one. */
  get isLeft() {
    return Boolean(this.closest("[data-leaves]"));
  }

  get kind() {
    return this.form.elements.kind.value;
  }

  get field() {
    return this.fieldOf(this.kind);
  }

  fieldOf(kind) {
    return kind === "note" ? this.note : this.reply;
  }

  /** Files belong to what they were put in: a note's never go to the customer. */
  get tray() {
    return this.trayOf(this.kind);
  }

  trayOf(kind) {
    return this.querySelector(kind === "note" ? "#composer-note-files" : "#composer-files");
  }

  /** Nothing is written there, and no file lies there. */
  isEmpty(kind) {
    return !this.fieldOf(kind).value.trim() && !this.trayOf(kind).children.length;
  }

  /** Kind of the channel that the chosen route uses; "" when there is none. */
  get channel() {
    return this.#option?.dataset.kind ?? "";
  }

  get #option() {
    const route = this.form.elements.route?.value;
    return this.querySelector(`.routes [data-value="${CSS.escape(route ?? "")}"]`);
  }

  get #isBilledByPart() {
    return this.#option?.dataset.segments !== undefined;
  }

  /** To and Cc: as given, else whom the chosen route reaches by itself. */
  address({ to = "", cc = "" } = this.#option?.dataset ?? {}) {
    Object.assign(this.form.elements.to, { value: to });
    Object.assign(this.form.elements.cc, { value: cc });
  }

  /** {to, cc} as they stand there; {} on a channel without them. */
  get recipients() {
    const { to, cc } = this.form.elements;
    return this.form.hasAttribute("data-to") ? { to: to.value, cc: cc.value } : {};
  }

  /** The same, where the reader has changed them. */
  get changedRecipients() {
    const { to, cc } = this.recipients;
    const own = this.#option?.dataset;
    return to === undefined || (to === own.to && cc === own.cc) ? {} : { to, cc };
  }

  show(kind, { focus = true } = {}) {
    this.form.querySelector(`[name=kind][value=${kind}]`).checked = true;
    if (focus) this.field.focus();
    this.#count();
  }

  /** Send what is there, once. Where that is nothing the field gets the focus. `stays`: the next line is written at once. */
  send(then = "", stays = false) {
    if (this.isEmpty(this.kind)) {
      this.field.focus();
      return;
    }
    this.form.elements.then.value = then;
    const goes = this.dispatchEvent(new CustomEvent("composer:send", { bubbles: true, cancelable: true, detail: { kind: this.kind, then, stays, form: this.form } }));
    if (goes) this.form.submit();
  }

  /** Enter in To or Cc goes on to the text; it would send the mail otherwise. */
  #onwards(event) {
    if (event.key !== "Enter" || event.isComposing || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.reply.focus();
  }

  #escape(event) {
    if (event.key !== "Escape" || event.isComposing) return;
    event.preventDefault();
    event.stopPropagation();
    this.field.blur();
  }

  #count() {
    const place = this.querySelector("#composer-count");
    const { limit = 0, unit } = this.#option?.dataset ?? {};
    for (const name of ["to", "signed", "template", "plain"]) this.form.toggleAttribute(`data-${name}`, name in (this.#option?.dataset ?? {}));
    if (this.#isBilledByPart) { // the server counts: see counted
      place.toggleAttribute("data-over", Boolean(Number(limit)) && lengthOf(this.reply.value, unit) > limit);
      if (!this.reply.value.trim()) place.textContent = "";
      return;
    }
    const length = lengthOf(this.reply.value, unit);
    place.textContent = Number(limit) && length >= limit * 0.8 ? `${length} / ${limit}` : "";
    place.toggleAttribute("data-over", Boolean(Number(limit)) && length > limit);
  }

  /** Text messages are billed by segments: the words of the server, which cuts the text as it is sent. */
  set counted(words) {
    if (this.#isBilledByPart && this.kind === "reply") this.querySelector("#composer-count").textContent = words;
  }

  #grow(field) {
    field.style.height = "auto";
    field.style.height = `${field.scrollHeight}px`;
  }
}

/** In the unit in which the channel's provider counts. */
function lengthOf(text, unit) {
  if (unit === "bytes") return new TextEncoder().encode(text).length;
  return unit === "characters" ? [...text].length : text.length;
}

customElements.define("ticket-composer", TicketComposer);
