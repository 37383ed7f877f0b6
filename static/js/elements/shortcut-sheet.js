/** <shortcut-sheet>: every key by group, and the switch that turns single keys off (WCAG 2.1.4). */

import { keys } from "../lib/keyboard.js";
import { keyCaps } from "../lib/keys.js";
import { keepChoice } from "../lib/request.js";

class ShortcutSheet extends HTMLElement {
  connectedCallback() {
    keys.on("keys.show", () => { this.#fill(); this.closest("dialog").showModal(); });
    this.closest("dialog").addEventListener("toggle", () => this.#fill());
    if (this.closest("dialog").open) this.#fill(); // the key that came before this has opened it
    this.toggle = this.querySelector("[data-single-keys]");
    this.toggle.checked = keys.single;
    this.toggle.addEventListener("change", () => {
      keys.single = this.toggle.checked;
      const url = document.getElementById("app")?.dataset.saveKeys;
      if (url) keepChoice(url, { shortcuts_on: String(keys.single) });
    });
  }

  #fill() {
    const place = this.querySelector("[data-keys]");
    if (place.childElementCount) return;
    for (const [name, commands] of Map.groupBy(keys.commands, (command) => command.group)) {
      const group = document.createElement("section");
      group.className = "keys__group";
      const title = document.createElement("h3");
      title.textContent = name;
      group.append(title, ...commands.map((command) => this.#row(command)));
      place.append(group);
    }
  }

  #row(command) {
    const row = document.createElement("div");
    row.className = "keys__row";
    const label = document.createElement("span");
    label.textContent = command.label;
    const strokes = document.createElement("span");
    strokes.className = "keys__strokes";
    const many = command.keys.length > 3; // G 1 to G 9
    (many ? [command.keys[0], command.keys.at(-1)] : command.keys).forEach((stroke, i) => {
      if (i) strokes.append(many ? " … " : " · ");
      strokes.append(...keyCaps(stroke));
    });
    row.append(label, strokes);
    return row;
  }
}

customElements.define("shortcut-sheet", ShortcutSheet);
