/**
 * <query-box>: the search above the lists (ARIA 1.2 combobox). The text is the truth: chips, underlines and suggestions are read from it
 * by the server, and write it. Nothing is asked in the middle of a syllable. It tells `list:asked` {url}; Esc asks for the list before.
 */

import { EnterSends } from "../lib/composition.js";
import { keys } from "../lib/keyboard.js";
import { keepHere, localOf } from "../lib/mirror.js";
import { text } from "../lib/request.js";

const CALM_MS = 120;
const RECENT = 6;

class QueryBox extends HTMLElement {
  #options = [];
  #active = -1;
  #asked = null;
  #timer = null;
  #home = "/"; // the list that was shown before the search
  #searching = false;
  #searched = ""; // what was searched for, until it is known to be worth remembering

  connectedCallback() {
    this.input = this.querySelector("input");
    this.mirror = this.querySelector(".query__mirror");
    this.list = this.querySelector("[role=listbox]");
    this.chips = this.querySelector(".query__chips");
    this.problem = this.querySelector(".query__problem");
    keys.on("search.focus", () => this.#focus());
    keys.on("list.back", () => this.#leave(), { when: () => this.#facts?.name === "search" && !document.querySelector("#ticket[data-ticket]") });
    new EnterSends(this.input, { send: () => this.#entered() });
    this.input.addEventListener("input", (event) => { this.#drawMirror([]); if (!event.isComposing) this.#readSoon(); });
    this.input.addEventListener("compositionend", () => this.#readSoon());
    this.input.addEventListener("keydown", (event) => this.#key(event));
    this.input.addEventListener("focus", () => this.#readSoon());
    this.input.addEventListener("blur", () => this.#close());
    this.input.addEventListener("scroll", () => { this.mirror.scrollLeft = this.input.scrollLeft; });
    this.list.addEventListener("pointerdown", (event) => { // before the field loses the focus
      event.preventDefault();
      this.#choose(this.#options[[...this.list.children].indexOf(event.target.closest("[role=option]"))]);
    });
    this.chips.addEventListener("click", (event) => this.#clicked(event));
    this.querySelector("form").addEventListener("submit", (event) => { event.preventDefault(); this.#search(); });
    this.querySelector("[data-clear]").addEventListener("click", () => this.#leave());
    document.addEventListener("list:shown", () => this.#listed());
    this.#listed();
  }

  get #facts() {
    const facts = document.getElementById("list-facts");
    return facts ? JSON.parse(facts.textContent) : null;
  }

  #focus() {
    document.getElementById("app").dataset.pane = "list";
    this.input.focus();
    this.input.select();
  }

  /** A list is on the screen: the box says its query. */
  #listed() {
    const shown = document.getElementById("list-content");
    const facts = this.#facts;
    if (!facts) return;
    if (facts.name !== "search") this.#home = shown.dataset.url;
    const query = facts.name === "search" ? new URLSearchParams(facts.place).get("q") ?? "" : "";
    if (this.#searching) { // what was asked for has come: the keys of the list act at once
      this.#searching = false;
      if (shown.querySelector(".row")) shown.querySelector("h1").focus({ preventScroll: true });
    }
    if (document.activeElement === this.input) return;
    this.#write(query);
    this.#read();
  }

  #write(value, at = value.length) {
    this.input.value = value;
    if (document.activeElement === this.input) this.input.setSelectionRange(at, at);
    this.#drawMirror([]);
  }

  #readSoon() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#read({ typing: document.activeElement === this.input }), CALM_MS);
  }

  /** Ask the server what the text says; `typing`: with suggestions, and without blaming the word that is being typed. */
  async #read({ typing = false } = {}) {
    const value = this.input.value;
    this.#asked?.abort();
    this.#asked = new AbortController();
    this.querySelector("[data-clear]").hidden = !value;
    this.querySelector(".query__key").hidden = Boolean(value);
    if (!value.trim()) {
      this.#show({ chips: [], problems: [] });
      if (typing) this.#offer(this.#recent.map((query) => ({ label: query, hint: "", text: query, at: query.length, search: true })), this.dataset.recent);
      return;
    }
    const address = `${this.dataset.read}?${new URLSearchParams({ q: value, at: this.input.selectionStart ?? value.length })}`;
    const isSearched = value.trim() === this.#searched; // it is remembered, however fast one goes on
    const answer = await text(address, isSearched ? {} : { signal: this.#asked.signal }).catch(() => null);
    if (!answer) return;
    const read = JSON.parse(answer);
    if (isSearched && !read.problems.length) this.#remember(value.trim());
    if (value !== this.input.value) return;
    const caret = typing ? this.input.selectionStart : -1;
    this.#show({ chips: read.chips, problems: read.problems.filter(({ to }) => to !== caret) });
    if (typing && document.activeElement === this.input) this.#offer(read.options);
  }

  #show({ chips, problems }) {
    this.#drawMirror(problems);
    this.problem.hidden = !problems.length;
    this.problem.textContent = problems[0]?.sentence ?? "";
    this.input.setAttribute("aria-invalid", String(problems.length > 0));
    this.chips.hidden = !chips.length;
    this.chips.replaceChildren(...chips.map((chip) => this.#chip(chip)));
  }

  #chip(chip) {
    const item = this.querySelector("template[data-chip]").content.firstElementChild.cloneNode(true);
    const [show, remove] = item.children;
    show.textContent = chip.label;
    show.title = chip.sentence;
    show.dataset.from = chip.from;
    show.dataset.to = chip.to;
    remove.setAttribute("aria-label", `${remove.dataset.words}: ${chip.sentence}`);
    remove.dataset.text = chip.text;
    return item;
  }

  /** The text once more under the field, for the waves under what cannot be understood: empty where all can. */
  #drawMirror(problems) {
    if (!problems.length) { // and where the field stands need not be asked, which would lay out the page
      this.mirror.replaceChildren();
      return;
    }
    const value = this.input.value;
    const parts = [];
    let at = 0;
    for (const { from, to } of [...problems].sort((a, b) => a.from - b.from)) {
      if (from < at) continue;
      const wrong = document.createElement("span");
      wrong.textContent = value.slice(from, to);
      parts.push(value.slice(at, from), wrong);
      at = to;
    }
    this.mirror.replaceChildren(...parts, value.slice(at));
    this.mirror.scrollLeft = this.input.scrollLeft;
  }

  #clicked(event) {
    const button = event.target.closest("button");
    if (!button) return;
    if ("text" in button.dataset) {
      this.#write(button.dataset.text);
      this.#search();
    } else {
      this.input.focus();
      this.input.setSelectionRange(Number(button.dataset.from), Number(button.dataset.to));
    }
  }

  // Suggestions

  #offer(options, title = "") {
    this.#options = options;
    const rows = options.map((option, n) => {
      const row = this.querySelector("template[data-option]").content.firstElementChild.cloneNode(true);
      row.id = `query-option-${n}`;
      row.querySelector("[data-label]").textContent = option.label;
      row.querySelector("[data-hint]").textContent = option.hint;
      return row;
    });
    this.list.replaceChildren(...rows);
    this.list.dataset.title = title;
    this.list.hidden = !rows.length;
    this.input.setAttribute("aria-expanded", String(rows.length > 0));
    this.#go(-1);
  }

  #close() {
    clearTimeout(this.#timer);
    this.#offer([]);
  }

  /** None is active until one is asked for: Enter then searches for what is written. */
  #go(to) {
    const rows = [...this.list.children];
    this.#active = to;
    rows.forEach((row, n) => {
      row.ariaSelected = String(n === to);
      row.toggleAttribute("data-active", n === to);
    });
    if (!rows[to]) this.input.removeAttribute("aria-activedescendant");
    else {
      this.input.setAttribute("aria-activedescendant", rows[to].id);
      rows[to].scrollIntoView({ block: "nearest" });
    }
  }

  #key(event) {
    if (event.isComposing || event.keyCode === 229) return;
    const count = this.#options.length;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (!count) this.#readSoon();
      else if (event.key === "ArrowDown") this.#go(this.#active + 1 < count ? this.#active + 1 : -1);
      else this.#go(this.#active < 0 ? count - 1 : this.#active - 1);
    } else if (event.key === "Tab" && this.#active >= 0) {
      event.preventDefault();
      this.#choose(this.#options[this.#active]);
    } else if (event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation();
      if (this.#active >= 0 || (count && this.input.value)) this.#close();
      else this.#leave();
    } else if (["ArrowLeft", "ArrowRight", "Home", "End"].includes(event.key)) {
      this.#readSoon();
    }
  }

  #choose(option) {
    if (!option) return;
    this.input.focus();
    this.#write(option.text, option.at);
    this.#offer([]);
    if (option.search) this.#search();
    else this.#read({ typing: true });
  }

  #entered() {
    if (this.#active >= 0) this.#choose(this.#options[this.#active]);
    else this.#search();
  }

  // Searching

  #search() {
    const query = this.input.value.trim();
    this.#close();
    if (!query) {
      this.#leave();
      return;
    }
    this.#searching = true;
    this.#searched = query;
    this.#ask(`${this.querySelector("form").getAttribute("action")}?${new URLSearchParams({ q: query })}`);
    this.#read();
  }

  /** Back to where one was, with the keys of the list. */
  #leave() {
    this.#close();
    this.#write("");
    this.input.blur();
    if (this.#facts?.name === "search") this.#ask(this.#home);
    else this.#listed();
    document.querySelector("#list-content h1")?.focus({ preventScroll: true });
  }

  #ask(url) {
    document.dispatchEvent(new CustomEvent("list:asked", { detail: { url } }));
  }

  get #recent() {
    return localOf(this.#place) ?? [];
  }

  #place = `searches-${this.dataset.me}`;

  #remember(query) {
    keepHere(this.#place, [query, ...this.#recent.filter((other) => other !== query)].slice(0, RECENT));
  }
}

customElements.define("query-box", QueryBox);
