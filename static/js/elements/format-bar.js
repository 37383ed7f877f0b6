/**
 * <format-bar>: **bold**, _italic_, [words](address) and lists, typed into the composer's text, so that undo, drafts and input methods see
 * nothing but typing. What the marks mean is of tickets/formatting.py.
 */

import { keys } from "../lib/keyboard.js";
import { isWriting, stroke } from "../lib/keys.js";
import { type, typeOver } from "../lib/typing.js";

const SIGNS = { bold: "**", italic: "_" };
const ADDRESS = /^(?:https?:\/\/|mailto:|tel:)[^\s()<>"]+(?:\([^\s()<>"]*\)[^\s()<>"]*)*$/i;
const TO_FILL_IN = "https://";
const WORD = /[\p{L}\p{N}\p{M}]/u;
const ITEM = /^(?:- |\d+\. )?\s*/;

class FormatBar extends HTMLElement {
  #off = [];
  #composing = false;

  connectedCallback() {
    this.composer = this.closest("ticket-composer");
    const form = this.closest("form");
    const on = (target, name, run, capture = false) => {
      target.addEventListener(name, run, capture);
      this.#off.push(() => target.removeEventListener(name, run, capture));
    };
    on(this, "mousedown", (event) => event.preventDefault()); // the field keeps the focus
    on(this, "click", (event) => this.#pressed(event.target.closest("[data-mark]")));
    on(form, "keydown", (event) => this.#key(event), true); // before the page's keys: without a selection it is the palette's
    on(form, "paste", (event) => this.#pasted(event));
    on(form, "compositionstart", () => { this.#composing = true; });
    on(form, "compositionend", () => { this.#composing = false; });
    for (const mark of ["bold", "italic", "link"]) this.#off.push(keys.on(`composer.${mark}`, (event) => (this.#isElsewhere(event?.target) ? false : this.put(mark)), { when: () => this.#shows }));
  }

  disconnectedCallback() {
    for (const off of this.#off) off();
  }

  /** Whether what is written now is shown with its formatting. */
  get #shows() {
    return this.composer.kind === "note" || !this.closest("form").hasAttribute("data-plain");
  }

  /** In To, Cc or another line of the composer's, where marks mean nothing. */
  #isElsewhere(target) {
    return isWriting(target) && target !== this.composer.field;
  }

  #pressed(button) {
    if (!button) return;
    if (this.#composing) this.composer.field.blur(); // ends the composition: its syllable stays
    this.put(button.dataset.mark);
  }

  #key(event) {
    const { field } = this.composer;
    if (event.target !== field || event.isComposing || event.keyCode === 229 || stroke(event) !== "mod+k") return;
    if (field.selectionStart === field.selectionEnd || !this.#shows) return;
    event.preventDefault();
    event.stopPropagation();
    if (!event.repeat) this.put("link");
  }

  /** An address that is pasted over words is where they lead. */
  #pasted(event) {
    const { field } = this.composer;
    const address = event.clipboardData?.getData("text/plain").trim() ?? "";
    const words = field.value.slice(field.selectionStart, field.selectionEnd);
    if (event.target !== field || event.clipboardData?.files.length || !this.#shows) return;
    if (!ADDRESS.test(address) || !canBeLinked(words) || ADDRESS.test(words.trim())) return;
    event.preventDefault();
    type(field, `[${words}](${address})`);
  }

  /** Do with what is selected, or the word at the caret, what the mark says; done twice it is undone. */
  put(mark) {
    const { field } = this.composer;
    field.focus();
    if (mark === "list") list(field);
    else if (mark === "link") link(field);
    else wrap(field, SIGNS[mark]);
  }
}

/** The selection without its outer spaces; without one, the word that the caret stands in or at. */
function meant({ value, selectionStart: start, selectionEnd: end }) {
  if (start === end) {
    while (start > 0 && WORD.test(value[start - 1])) start -= 1;
    while (end < value.length && WORD.test(value[end])) end += 1;
  } else {
    while (start < end && /\s/.test(value[start])) start += 1;
    while (end > start && /\s/.test(value[end - 1])) end -= 1;
  }
  return { start, end };
}

function wrap(field, sign) {
  const { value, selectionStart: from, selectionEnd: to } = field;
  let { start, end } = meant(field);
  if (value.slice(start, end).includes("\n")) return wrapLines(field, sign, start, end);
  const n = sign.length;
  if (from !== to && (!start || value[start - 1] === "\n")) start += ITEM.exec(value.slice(start, end))[0].length;
  const words = value.slice(start, end);
  const isWithin = start >= n && value.slice(start - n, start) === sign && value.slice(end, end + n) === sign;
  if (from === to && words && from === end && isWithin) { // the end of what was begun with the same key
    field.setSelectionRange(end + n, end + n);
  } else if (isWithin) {
    typeOver({ field, start: start - n, end: end + n }, words);
    field.setSelectionRange(Math.max(from, start) - n, Math.min(to, end) - n);
  } else if (isMarked(words, sign)) {
    typeOver({ field, start, end }, words.slice(n, -n));
    field.setSelectionRange(start, end - 2 * n);
  } else {
    typeOver({ field, start, end }, sign + words + sign);
    field.setSelectionRange(Math.max(from, start) + n, Math.min(to, end) + n);
  }
  return undefined;
}

/** A mark holds within a line, behind what makes it an item of a list. */
function wrapLines(field, sign, start, end) {
  const lines = field.value.slice(start, end).split("\n").map((line) => {
    const head = ITEM.exec(line)[0];
    const words = line.slice(head.length).trimEnd();
    return { head, words, rest: line.slice(head.length + words.length), marked: !words || isMarked(words, sign) };
  });
  const undone = lines.every(({ marked }) => marked);
  const turned = ({ words, marked }) => (undone ? words.slice(sign.length, -sign.length) : marked ? words : sign + words + sign);
  const fresh = lines.map((line) => line.head + turned(line) + line.rest).join("\n");
  typeOver({ field, start, end }, fresh);
  field.setSelectionRange(start, start + fresh.length);
}

const isMarked = (words, sign) => words.length > 2 * sign.length && words.startsWith(sign) && words.endsWith(sign);

function link(field) {
  const { start, end } = meant(field);
  const words = field.value.slice(start, end);
  if (ADDRESS.test(words)) {
    typeOver({ field, start, end }, `[${words}](${words})`);
    field.setSelectionRange(start + 1, start + 1 + words.length); // what stands for it is written next
  } else if (!words) {
    typeOver({ field, start, end }, `[](${TO_FILL_IN})`);
    field.setSelectionRange(start + 1, start + 1);
  } else if (canBeLinked(words)) {
    typeOver({ field, start, end }, `[${words}](${TO_FILL_IN})`);
    const at = start + words.length + 3;
    field.setSelectionRange(at, at + TO_FILL_IN.length);
  }
}

const canBeLinked = (words) => Boolean(words.trim()) && !/[[\]\n]/.test(words);

/** Every line that is selected becomes an item, or none is one any more. */
function list(field) {
  const { value, selectionStart, selectionEnd } = field;
  const start = value.lastIndexOf("\n", selectionStart - 1) + 1;
  const until = value.indexOf("\n", Math.max(selectionStart, selectionEnd - 1));
  const end = until < 0 ? value.length : until;
  const lines = value.slice(start, end).split("\n");
  const areItems = lines.every((line) => !line.trim() || line.startsWith("- "));
  const undone = areItems && lines.some((line) => line.trim());
  const fresh = lines.map((line) => (undone ? line.replace(/^- /, "") : line.trim() || lines.length === 1 ? `- ${line.replace(/^(?:- |\d+\. )/, "")}` : line)).join("\n");
  typeOver({ field, start, end }, fresh);
  if (selectionStart !== selectionEnd) field.setSelectionRange(start, start + fresh.length);
}

customElements.define("format-bar", FormatBar);
