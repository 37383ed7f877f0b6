/**
 * <insert-menu>: what is inserted while one writes. `/` (in Korean `#` too) finds answers and macros, `@` in a note finds people. The
 * keyboard stays in the field: arrows choose, Enter or Tab inserts, Escape closes. A macro is not applied by choosing it: what it does
 * stands in a strip, each thing can be left out, and all of it goes along with the message (`take`), or by itself with Apply.
 */

import { askedFor, find } from "../lib/finding.js";
import { nodes } from "../lib/nodes.js";
import { act, send, text } from "../lib/request.js";
import { toast } from "../lib/toast.js";
import { type, typeOver } from "../lib/typing.js";
import { filled, language, word } from "../lib/words.js";

const SHOWN = 60; // rows
const FRESH_MS = 60_000;
const PREVIEW_MS = 60;
const END_MS = 80; // a composition that Enter does not end by itself
const DEAF_MS = 120; // some systems press Enter a second time after the composition
const HANGUL = /[\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3]$/;
const VARIABLE = /\{\{[^{}]*\}\}/;

const lists = new Map(); // url -> {at, rows}: shared by the composers of all tickets

async function rowsOf(url, name) {
  const known = lists.get(url);
  if (known && Date.now() - known.at < FRESH_MS) return known.rows;
  const rows = text(url).then((json) => JSON.parse(json)[name]);
  lists.set(url, { at: Date.now(), rows });
  rows.catch(() => lists.delete(url));
  return rows;
}

/** The ticket with this number, as a row. */
async function ticketsOf(query) {
  if (!/^#?\d+$/.test(query)) return [];
  const found = await text(`/palette/?q=${encodeURIComponent(query)}`).then(JSON.parse).catch(() => ({ tickets: [] }));
  return found.tickets.map(({ label, hint, url, number }) => ({ title: label, folder: hint, deeds: [], shape: "ticket", number, link: new URL(url, location.href).href }));
}

class InsertMenu extends HTMLElement {
  #asked = null; // {field, sign, start, query}
  #own = null; // the sign that its button or key wrote: {field, sign, end, value}
  #closedAt = null; // where the reader closed it: it stays closed there
  #found = [];
  #active = 0;
  #previews = new Map();
  #coming = null; // {kind, macro, deeds}: with a draft of earlier
  #timer = null;
  #composed = "";
  #whole = []; // what goes on when a syllable is whole
  #composing = null; // the field in which a syllable is not whole yet
  #chooses = false; // Enter came while a syllable was being composed
  #deafUntil = 0;
  #off = [];

  connectedCallback() {
    this.composer = this.closest("ticket-composer");
    this.menu = this.querySelector(".insert");
    this.list = this.querySelector("[role=listbox]");
    this.preview = this.querySelector(".insert__preview");
    this.none = this.querySelector(".insert__none");
    this.strip = this.querySelector(".macro");
    this.macro = this.strip.querySelector("[name=macro]");
    this.#listen();
    for (const field of this.#fields) {
      field.setAttribute("aria-haspopup", "listbox");
      field.setAttribute("aria-autocomplete", "list");
    }
    this.restore();
    if (this.#fields.includes(document.activeElement)) this.#look(document.activeElement);
  }

  disconnectedCallback() {
    for (const off of this.#off) off();
    for (const go of this.#whole.splice(0)) go();
    clearTimeout(this.#timer);
  }

  /** What a draft of this kind keeps of the macro, and a message takes along: {macro, deeds}; {} without one. */
  staged(kind = this.composer.kind) {
    if (this.#coming?.kind === kind) return { macro: this.#coming.macro, deeds: this.#coming.deeds };
    return !this.macro.disabled && this.strip.dataset.kind === kind ? { macro: Number(this.macro.value), deeds: this.#kept } : {};
  }

  /** It goes along with a message: the strip is emptied. */
  take(kind) {
    if (this.staged(kind).macro) this.#drop();
  }

  /** Insert a macro by its id, where the caret is; what the palette and others call. */
  async insert(id) {
    const shown = await this.#arrived(id, this.composer.field);
    if (shown) this.#put(shown, this.#caret);
  }

  get #caret() {
    const { field } = this.composer;
    return { field, start: field.selectionStart, end: field.selectionEnd };
  }

  /** What a macro says here, once it can be put in: no syllable is broken for it. Null where it cannot be had, or its ticket was left meanwhile. */
  async #arrived(id, field) {
    const shown = await this.#previewOf(id).catch(() => null);
    if (!this.isConnected) return null;
    if (!shown) toast(word("failed"), { kind: "error" });
    while (this.isConnected && this.#composing === field) await new Promise((resolve) => { this.#whole.push(resolve); });
    return this.isConnected ? shown : null;
  }

  // -- Opening ----------------------------------------------------------------------------------------------------------

  get #fields() {
    return [this.composer.reply, this.composer.note];
  }

  /** It belongs to the tab in which it was chosen: a note in between takes nothing along that was meant for the reply. */
  get #isStaged() {
    return Boolean(this.staged().macro);
  }

  get #kept() {
    return [...this.strip.querySelectorAll("[name=deed]")].map((input) => Number(input.value));
  }

  get isOpen() {
    return this.menu.matches(":popover-open");
  }

  #listen() {
    const form = this.closest("form");
    const on = (target, name, run, capture = false) => {
      target.addEventListener(name, run, capture);
      this.#off.push(() => target.removeEventListener(name, run, capture));
    };
    // Before the field's own listeners: while the menu is open, Enter inserts and Escape closes the menu only.
    on(form, "keydown", (event) => this.#key(event), true);
    on(form, "beforeinput", (event) => this.#broke(event), true);
    on(form, "compositionstart", ({ target }) => { this.#composing = target; }, true);
    on(form, "compositionupdate", (event) => { this.#composed = event.data ?? ""; }, true);
    on(form, "compositionend", (event) => this.#ended(event), true);
    on(form, "input", (event) => { if (this.#fields.includes(event.target)) this.#look(event.target); });
    on(form, "click", (event) => this.#click(event));
    on(document, "selectionchange", () => { if (this.isOpen && document.activeElement === this.#asked?.field) this.#look(this.#asked.field); });
    on(form, "focusout", (event) => { if (!this.#chooses && this.#fields.includes(event.target) && !this.contains(event.relatedTarget)) this.close(); });
    on(this.list, "pointerdown", (event) => event.preventDefault()); // the field keeps the focus
    on(window, "resize", () => this.#place());
    this.#listenToPalette();
  }

  #listenToPalette() {
    const palette = document.querySelector("command-palette");
    if (!palette) return;
    const source = async (query) => {
      const found = find(query, await rowsOf(this.dataset.macros, "macros"), (row) => [row.title, row.code]);
      return found.slice(0, 8).map((row) => ({ label: row.title, hint: row.deeds.join(" · ") || row.folder, run: () => this.insert(row.id) }));
    };
    palette.sources.push(source);
    this.#off.push(() => palette.sources.splice(palette.sources.indexOf(source), 1));
  }

  get #signs() {
    const forAnswers = language.startsWith("ko") ? ["/", "#"] : ["/"];
    return this.composer.kind === "note" ? [...forAnswers, "@"] : forAnswers;
  }

  async #look(field) {
    const asked = field.selectionStart === field.selectionEnd ? askedFor(field.value, field.selectionStart, this.#signs) : null;
    if (!asked || (this.#closedAt?.field === field && this.#closedAt.start === asked.start)) {
      if (!asked) this.#closedAt = null;
      this.close();
      return;
    }
    this.#asked = { field, ...asked };
    await this.#show();
  }

  /** Open it by its button or key, at the caret. The sign is nobody's words: it is not kept, and goes again where nothing follows. */
  open() {
    const { field } = this.composer;
    const form = this.closest("form");
    const hush = (event) => event.stopImmediatePropagation();
    field.focus();
    field.setSelectionRange(field.selectionEnd, field.selectionEnd);
    const before = field.value.slice(0, field.selectionEnd);
    const sign = !before || /\s$/.test(before) ? "/" : " /";
    form.addEventListener("input", hush, true);
    type(field, sign);
    form.removeEventListener("input", hush, true);
    this.#own = { field, sign, end: field.selectionEnd, value: field.value };
    this.#look(field);
  }

  #withdraw() {
    const { field, sign, end, value } = this.#own ?? {};
    this.#own = null;
    if (!field || field.value !== value) return;
    if (document.activeElement === field) {
      typeOver({ field, start: end - sign.length, end }, "");
    } else { // without taking the focus back
      field.setRangeText("", end - sign.length, end, "end");
      field.dispatchEvent(new Event("input", { bubbles: true }));
    }
    this.#closedAt = null;
  }

  async #show() {
    const { sign, query } = this.#asked;
    const people = sign === "@";
    const [url, name] = people ? [`${this.dataset.ticket}nameable/`, "people"] : [this.dataset.macros, "macros"];
    const rows = await rowsOf(url, name).catch(() => null);
    const tickets = people ? [] : await ticketsOf(query);
    if (!rows || this.#asked?.sign !== sign || this.#asked.query !== query) return;
    this.#found = [...tickets, ...find(query, rows, (row) => (people ? [row.handle] : [row.title, row.code, row.folder]))].slice(0, SHOWN);
    // A slash or an at sign that is none of ours: "and/or" after a space, a word that nobody is called.
    if (!this.#found.length && query.includes(" ")) { this.close(); return; }
    this.list.replaceChildren(...this.#found.map((row, i) => this.#row(row, i, people)));
    this.none.hidden = this.#found.length > 0;
    this.menu.toggleAttribute("data-people", people);
    if (!this.isOpen) this.menu.showPopover();
    this.#asked.field.setAttribute("aria-controls", this.list.id);
    this.#place();
    this.#go(0);
  }

  close() {
    this.#withdraw();
    this.#asked = null;
    this.#chooses = false;
    clearTimeout(this.#timer);
    if (!this.isOpen) return;
    this.menu.hidePopover();
    for (const field of this.#fields) {
      field.removeAttribute("aria-activedescendant");
      field.removeAttribute("aria-controls");
    }
  }

  #row(row, i, people) {
    const node = this.#clone("row");
    node.id = `insert-${i}`;
    node.dataset.kind = row.shape ?? (people ? row.kind : row.deeds.length ? "macro" : "canned");
    node.querySelector("[data-title]").textContent = people ? row.handle : row.title;
    const note = people ? row.note : [row.folder, row.deeds.join(" · ")].filter(Boolean).join(" · ");
    node.querySelector("[data-note]").textContent = note;
    node.querySelector(".insert__code").textContent = people || !row.code ? "" : `/${row.code}`;
    return node;
  }

  #clone(name) {
    return this.querySelector(`template[data-${name}]`).content.firstElementChild.cloneNode(true);
  }

  /** Above the field, as wide as the composer's box. */
  #place() {
    if (!this.isOpen) return;
    const box = this.composer.querySelector(".composer__box").getBoundingClientRect();
    this.menu.style.insetInlineStart = `${box.left}px`;
    this.menu.style.width = `${box.width}px`;
    this.menu.style.bottom = `${innerHeight - box.top + 4}px`;
    this.menu.style.maxHeight = `${Math.max(140, box.top - 12)}px`;
  }

  #go(to) {
    const rows = [...this.list.children];
    const field = this.#asked?.field;
    this.preview.hidden = true;
    if (!rows.length) return field?.removeAttribute("aria-activedescendant");
    this.#active = (to + rows.length) % rows.length;
    rows.forEach((row, i) => {
      row.ariaSelected = String(i === this.#active);
      row.toggleAttribute("data-active", i === this.#active);
    });
    rows[this.#active].scrollIntoView({ block: "nearest" });
    field?.setAttribute("aria-activedescendant", rows[this.#active].id);
    clearTimeout(this.#timer);
    const { id } = this.#found[this.#active];
    if (id) this.#timer = setTimeout(() => this.#showPreview(id), this.#previews.has(id) ? 0 : PREVIEW_MS);
    return undefined;
  }

  // -- Keys -------------------------------------------------------------------------------------------------------------

  #key(event) {
    if (!this.#fields.includes(event.target)) return;
    const isEnter = event.key === "Enter" || event.code === "Enter" || event.code === "NumpadEnter";
    if (isEnter && performance.now() < this.#deafUntil) return stop(event);
    if (isEnter && (event.metaKey || event.ctrlKey) && !event.shiftKey && this.#isStaged && !event.target.value.trim()) {
      stop(event);
      return this.#apply();
    }
    if (isEnter && (event.metaKey || event.ctrlKey)) this.#withdraw(); // what is sent is what was written
    if (!this.isOpen || event.metaKey || event.ctrlKey || event.altKey) return undefined;
    if (event.isComposing || event.keyCode === 229) return this.#keyWhileComposing(event, isEnter);
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      stop(event);
      return this.#go(this.#active + (event.key === "ArrowDown" ? 1 : -1));
    }
    if (event.key === "Escape") {
      stop(event);
      this.#closedAt = { field: event.target, start: this.#asked.start };
      return this.close();
    }
    if ((isEnter || event.key === "Tab") && !event.shiftKey && this.#found.length) {
      stop(event);
      return this.#choose(this.#active);
    }
    if (isEnter && !event.shiftKey) { // nothing matches: what was looked for is not sent to the customer
      stop(event);
      this.#closedAt = { field: event.target, start: this.#asked.start };
      return this.close();
    }
    return undefined;
  }

  /** Hangul has no candidates: Enter means the row, once the last syllable is in the field. Kana's Enter is the input method's. */
  #keyWhileComposing(event, isEnter) {
    if (!isEnter || !this.#found.length || !HANGUL.test(this.#composed)) return;
    event.stopPropagation();
    this.#chooses = true;
    const { target } = event;
    setTimeout(() => { if (this.#chooses) { target.blur(); target.focus(); this.#chosenAfterComposition(); } }, END_MS);
  }

  #ended(event) {
    this.#composing = null;
    setTimeout(() => { for (const go of this.#whole.splice(0)) go(); }); // the next syllable may have begun: whoever waits looks
    if (this.#chooses && this.#fields.includes(event.target)) {
      event.stopPropagation();
      setTimeout(() => this.#chosenAfterComposition()); // the field has its last syllable then
    }
  }

  #chosenAfterComposition() {
    if (!this.#chooses) return;
    this.#chooses = false;
    this.#deafUntil = performance.now() + DEAF_MS;
    if (this.isOpen && this.#found.length) this.#choose(this.#active);
  }

  #broke(event) {
    const breaks = event.inputType === "insertLineBreak" || event.inputType === "insertParagraph";
    if (breaks && (this.#chooses || performance.now() < this.#deafUntil)) stop(event);
  }

  #click(event) {
    if (event.target.closest("[data-insert]")) return this.open();
    const row = event.target.closest("[role=option]");
    if (row && this.list.contains(row)) return this.#choose([...this.list.children].indexOf(row));
    const deed = event.target.closest(".macro__deed button");
    if (deed) return this.#leaveOut(deed.closest(".macro__deed"));
    if (event.target.closest("[data-drop]")) return this.#dropped();
    if (event.target.closest("[data-apply]")) return this.#apply();
    return undefined;
  }

  // -- Inserting --------------------------------------------------------------------------------------------------------

  async #choose(n) {
    const row = this.#found[n];
    const { field, sign, start, query } = this.#asked;
    const place = { field, start, end: start + 1 + query.length };
    this.#own = null; // what was chosen takes its place
    this.close();
    if (sign === "@") {
      typeOver(place, `@${row.handle} `);
      return;
    }
    if (row.link) { // colleagues can open it; to the customer its number says enough
      typeOver(place, this.composer.kind === "note" ? `#${row.number} ${row.link} ` : `#${row.number} `);
      return;
    }
    const asked = field.value.slice(place.start, place.end);
    const shown = await this.#arrived(row.id, field);
    if (shown) this.#put(shown, field.value.slice(place.start, place.end) === asked ? place : this.#caret);
  }

  /** Put its text in the place of what asked for it, in the tab it is meant for; files go to the tray, deeds to the strip. */
  #put(shown, place) {
    if (shown.kind !== this.composer.kind && !this.closest("form").querySelector(`[name=kind][value=${shown.kind}]`).disabled) {
      typeOver(place, "");
      this.composer.show(shown.kind);
      place = this.#caret;
    }
    const typed = place.field.selectionEnd - place.end; // behind it, since it was chosen
    typeOver(place, shown.text);
    const end = place.start + shown.text.length;
    if (typed > 0) place.field.setSelectionRange(end + typed, end + typed);
    const missing = VARIABLE.exec(shown.text);
    if (missing) place.field.setSelectionRange(place.start + missing.index, place.start + missing.index + missing[0].length);
    if (shown.files.length) this.#addFiles(shown.id);
    if (shown.deeds.length) this.#stage(shown);
    if (shown.deeds.length && !place.field.value.trim()) this.strip.querySelector("[data-apply]").focus();
    this.#keep();
  }

  async #addFiles(id) {
    const { tray } = this.composer;
    const answer = await send("POST", `${this.dataset.ticket}macros/${id}/files/`).catch(() => null);
    if (!answer?.ok) { toast(word("failed"), { kind: "error" }); return; }
    const fresh = nodes(await answer.text());
    tray.append(...fresh);
    for (const node of fresh) window.htmx?.process(node);
    this.#keep();
  }

  /** The draft has changed, whatever of it. */
  #keep() {
    this.composer.field.dispatchEvent(new Event("input", { bubbles: true }));
  }

  // -- What it says and does on this ticket -----------------------------------------------------------------------------

  #previewOf(id) {
    if (!this.#previews.has(id)) {
      const asked = text(`${this.dataset.ticket}macros/${id}/`).then((json) => JSON.parse(json));
      this.#previews.set(id, asked);
      asked.catch(() => this.#previews.delete(id));
    }
    return this.#previews.get(id);
  }

  async #showPreview(id) {
    const shown = await this.#previewOf(id).catch(() => null);
    if (!shown || !this.isOpen || this.#found[this.#active]?.id !== id) return;
    this.preview.hidden = false;
    this.preview.querySelector(".insert__text").replaceChildren(...marked(shown.text, shown.unresolved));
    const files = this.preview.querySelector(".insert__files");
    files.hidden = !shown.files.length;
    files.querySelector("span").textContent = shown.files.join(", ");
    const deeds = shown.deeds.map(({ words }) => {
      const line = this.#clone("deed");
      line.querySelector("span").textContent = words;
      return line;
    });
    this.preview.querySelector(".insert__deeds").replaceChildren(...deeds);
    this.preview.querySelector(".insert__missing").hidden = !shown.unresolved.length;
    this.#place();
  }

  // -- The strip --------------------------------------------------------------------------------------------------------

  #stage(shown, kept = shown.deeds.map(({ n }) => n), kind = this.composer.kind) {
    this.#coming = null;
    this.macro.value = shown.id;
    this.macro.disabled = false;
    this.strip.hidden = false;
    this.strip.dataset.kind = kind;
    this.strip.querySelector("strong").textContent = shown.title;
    const chips = shown.deeds.filter(({ n }) => kept.includes(n)).map(({ n, words }) => {
      const chip = this.#clone("chip");
      chip.querySelector("span").textContent = words;
      chip.querySelector("input").value = n;
      const button = chip.querySelector("button");
      button.ariaLabel = filled(button.ariaLabel, { deed: words });
      return chip;
    });
    this.strip.querySelector(".macro__deeds").replaceChildren(...chips);
  }

  #leaveOut(chip) {
    const next = chip.nextElementSibling ?? chip.previousElementSibling;
    chip.remove();
    if (next) next.querySelector("button").focus();
    else this.#dropped();
    this.#keep();
  }

  #dropped() {
    this.#drop();
    this.composer.field.focus();
    this.#keep();
  }

  #drop() {
    this.#coming = null;
    this.macro.disabled = true;
    this.strip.hidden = true;
    this.strip.querySelector(".macro__deeds").replaceChildren();
  }

  async #apply() {
    const { macro, deeds } = this.staged();
    if (!macro || this.strip.hasAttribute("busy")) return;
    this.strip.setAttribute("busy", "");
    const form = new URLSearchParams({ macro, client_uuid: crypto.randomUUID() });
    for (const n of deeds) form.append("deed", n);
    const done = await act("POST", `${this.dataset.ticket}macro-uses/`, form);
    this.strip.removeAttribute("busy");
    if (done) this.#dropped();
  }

  /** A draft of earlier had a macro with it (`data-macro`, `data-deeds`, `data-for` its kind): until its words have come it is kept and sent all the same. */
  async restore() {
    const { macro, deeds, for: kind } = this.dataset;
    if (!macro) return;
    const coming = { kind, macro: Number(macro), deeds: deeds.split(",").filter(Boolean).map(Number) };
    this.#coming = coming;
    delete this.dataset.macro;
    const shown = await this.#previewOf(coming.macro).catch(() => null);
    if (this.#coming !== coming) return;
    if (shown) this.#stage(shown, coming.deeds, kind);
    else this.#coming = null; // what is not seen is not done
  }
}

function stop(event) {
  event.preventDefault();
  event.stopPropagation();
}

/** A text with the places marked that have no value. */
function marked(words, unresolved) {
  const found = [];
  let rest = words;
  while (rest) {
    const [first] = unresolved.map((place) => ({ place, at: rest.indexOf(place) })).filter(({ at }) => at >= 0).sort((a, b) => a.at - b.at);
    if (!first) break;
    const mark = document.createElement("mark");
    mark.textContent = first.place;
    found.push(rest.slice(0, first.at), mark);
    rest = rest.slice(first.at + first.place.length);
  }
  return [...found, rest];
}

customElements.define("insert-menu", InsertMenu);
