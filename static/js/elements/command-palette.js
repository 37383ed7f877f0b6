/**
 * <command-palette>: what one can do here, found by typing; each line shows its key, so it teaches itself.
 * Other modules add what can be found: `palette.sources.push(async (query, signal) => [{label, hint, run}])`.
 */

import { keys } from "../lib/keyboard.js";
import { keyCaps } from "../lib/keys.js";
import { late } from "../lib/late.js";
import { clone, keyMap, word } from "../lib/words.js";

const finding = late(() => import("../lib/finding.js"), (address) => import(address)); // when one looks for something

class CommandPalette extends HTMLElement {
  sources = [];
  #found = [];
  #active = 0;
  #asked = null;
  #listed = Promise.resolve();

  connectedCallback() {
    this.dialog = this.closest("dialog");
    this.input = this.querySelector("input");
    this.list = this.querySelector("[role=listbox]");
    this.none = this.querySelector("[role=status]");
    keys.on("palette.open", () => this.open());
    this.input.addEventListener("input", () => this.#search());
    this.input.addEventListener("keydown", (event) => this.#key(event));
    this.list.addEventListener("click", (event) => this.#run(event.target.closest("[role=option]")));
    this.dialog.addEventListener("close", () => this.#empty()); // and not on opening: what is typed at once must not be lost
    this.#empty();
  }

  open() {
    if (this.dialog.open) return;
    this.dialog.showModal();
    this.input.focus();
    this.#search();
  }

  #empty() {
    this.input.value = "";
    this.list.replaceChildren();
  }

  #search() {
    const query = this.input.value.trim();
    this.#asked?.abort();
    this.#asked = new AbortController();
    const { signal } = this.#asked;
    this.#listed = this.#find(query, signal);
    this.#listed.then(() => this.#askOthers(query, signal));
  }

  async #find(query, signal) {
    const module = await finding().catch(() => null);
    if (signal.aborted) return;
    if (!module) {
      this.#show([]); // the next letter asks for it again
      return;
    }
    const found = query ? module.find(query, this.#known(), (entry) => [entry.label, ...entry.also]) : this.#known();
    this.#show([...found.filter((entry) => entry.run), ...found.filter((entry) => !entry.run)]);
  }

  async #askOthers(query, signal) {
    if (!query) return;
    for (const source of this.sources) {
      if (signal.aborted) return;
      const more = await source(query, signal).catch(() => []);
      if (signal.aborted) return;
      this.#show([...this.#found, ...more]);
    }
  }

  /** Every command, those too that mean nothing on this screen, and the pages of the settings. */
  #known() {
    const commands = keys.commands.filter((command) => command.id !== "palette.open").map((command) => ({
      label: command.label,
      also: command.also ?? [],
      keys: command.keys[0],
      run: keys.can(command.id) ? () => keys.run(command.id) : null,
    }));
    const places = keyMap.places.map(({ label, also, url }) => ({ label, also, hint: word("settings"), run: () => location.assign(url) }));
    return [...commands, ...places];
  }

  #show(found) {
    this.#found = found;
    const rows = found.map((entry, i) => {
      const row = clone(this);
      row.id = `palette-${i}`;
      row.querySelector("[data-label]").textContent = entry.label;
      row.querySelector("[data-hint]").textContent = entry.hint ?? (entry.run ? "" : word("notHere"));
      if (!entry.run) row.ariaDisabled = "true";
      if (entry.keys) {
        const caps = document.createElement("span");
        caps.append(...keyCaps(entry.keys));
        row.append(caps);
      }
      return row;
    });
    this.list.replaceChildren(...rows);
    this.none.hidden = rows.length > 0;
    this.#go(0);
  }

  #go(to) {
    const rows = [...this.list.children];
    if (!rows.length) return this.input.removeAttribute("aria-activedescendant");
    this.#active = (to + rows.length) % rows.length;
    rows.forEach((row, i) => {
      row.ariaSelected = String(i === this.#active);
      row.toggleAttribute("data-active", i === this.#active);
    });
    rows[this.#active].scrollIntoView({ block: "nearest" });
    return this.input.setAttribute("aria-activedescendant", rows[this.#active].id);
  }

  #key(event) {
    if (event.isComposing || event.keyCode === 229) return;
    const to = { ArrowDown: this.#active + 1, ArrowUp: this.#active - 1 }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      this.#go(to);
    } else if (event.key === "Enter") {
      event.preventDefault();
      this.#listed.then(() => this.#run(this.list.children[this.#active])); // what is written, not what was listed before it
    }
  }

  #run(row) {
    if (!row) return;
    const entry = this.#found[[...this.list.children].indexOf(row)];
    if (!entry.run) return;
    this.dialog.close(); // gives the focus back to where it was
    entry.run();
  }
}

customElements.define("command-palette", CommandPalette);
