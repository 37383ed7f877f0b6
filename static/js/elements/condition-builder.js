/**
 * <condition-builder>: adds, moves and removes rows and groups of conditions, by mouse and by keyboard (Alt+↑, Alt+↓). A row is
 * rendered by the server for the chosen field; the order of the rows in the document is the order that is posted.
 */

import { parsed } from "../lib/nodes.js";

class ConditionBuilder extends HTMLElement {
  #next = 0;

  connectedCallback() {
    this.#next = Number(this.dataset.next);
    this.addEventListener("click", (event) => this.#click(event));
    this.addEventListener("change", (event) => this.#change(event));
    this.addEventListener("keydown", (event) => this.#key(event));
  }

  #click(event) {
    const button = event.target.closest("[data-remove], [data-move], [data-add]");
    if (!button) return;
    if (button.dataset.move) this.#move(button.closest("[data-item]"), button.dataset.move === "up");
    else if (button.dataset.add) this.#add(button);
    else this.#remove(button.closest("[data-item]"));
  }

  #change(event) {
    const match = /^cond-(\d+)-(field|op)$/.exec(event.target.name ?? "");
    if (!match || (match[2] === "op" && !event.target.matches("[data-reshapes]"))) return;
    const item = event.target.closest("[data-item]");
    const asked = { n: match[1], field: item.querySelector("[name$='-field']").value };
    if (match[2] === "op") asked.op = event.target.value;
    this.#load(asked, (row) => item.replaceWith(row), `[name$='-${match[2]}']`);
  }

  #key(event) {
    const item = event.target.closest("[data-item]");
    if (!item || !event.altKey || !["ArrowUp", "ArrowDown"].includes(event.key)) return;
    event.preventDefault();
    this.#move(item, event.key === "ArrowUp");
  }

  #add(button) {
    const rows = (button.closest("[data-group]") ?? this).querySelector("[data-rows]");
    const asked = { n: this.#next, field: "text" };
    this.#next += 2;
    if (button.dataset.add === "group") asked.group = "";
    this.#load(asked, (row) => rows.append(row));
  }

  #remove(item) {
    const neighbour = item.nextElementSibling ?? item.previousElementSibling;
    item.remove();
    (neighbour?.querySelector("select") ?? this.querySelector("[data-add]")).focus();
    this.#changed();
  }

  /** One place up or down; a row goes into a group that it meets, and out of it at its end. */
  #move(item, up) {
    const focused = document.activeElement;
    const neighbour = up ? item.previousElementSibling : item.nextElementSibling;
    const around = item.parentElement.closest("[data-group]");
    if (neighbour?.matches("[data-group]") && !item.matches("[data-group]")) {
      const rows = neighbour.querySelector("[data-rows]");
      if (up) rows.append(item);
      else rows.prepend(item);
    } else if (neighbour ?? around) {
      if (up) (neighbour ?? around).before(item);
      else (neighbour ?? around).after(item);
    }
    focused.focus();
    this.#changed();
  }

  async #load(asked, place, focused = "select") {
    const answer = await fetch(`${this.dataset.row}?${new URLSearchParams({ ...asked, of: this.querySelector("[name=of]").value })}`);
    if (!answer.ok) return;
    const row = document.importNode(parsed(await answer.text()).querySelector("[data-item]"), true);
    place(row);
    row.querySelector(focused).focus();
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}

customElements.define("condition-builder", ConditionBuilder);
