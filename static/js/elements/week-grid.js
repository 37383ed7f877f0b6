/**
 * <week-grid>: the week of business hours as half hours to open and close, beside the text fields that hold them. Arrows move, Space
 * opens or closes, Shift with an arrow carries that on; a pointer paints. What the text says to the minute stays where nothing is painted.
 */

import { clock, closed, open, opened, read, written } from "../lib/week.js";

const STEP = 30; // minutes of a cell
const ROWS = (24 * 60) / STEP;
const MOVES = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };

class WeekGrid extends HTMLElement {
  #cells = []; // by day, then by half hour
  #painting = null; // whether what is painted opens; null while nothing is
  #here = [0, 18]; // day and half hour that has the focus: Monday 09:00

  connectedCallback() {
    this.fields = [...this.closest("form").querySelectorAll("[data-weekday]")];
    const body = this.querySelector("tbody");
    for (let row = 0; row < ROWS; row += 1) body.append(this.#row(row));
    for (const [day, field] of this.fields.entries()) field.addEventListener("input", () => this.#show(day));
    this.fields.forEach((_field, day) => this.#show(day));
    body.addEventListener("keydown", (event) => this.#key(event));
    body.addEventListener("pointerdown", (event) => this.#press(event));
    body.addEventListener("pointerover", (event) => this.#over(event));
    addEventListener("pointerup", this.#release);
    for (const button of this.querySelectorAll("[data-copy-from]")) button.addEventListener("click", () => this.#copy(Number(button.dataset.copyFrom)));
    this.#cell(...this.#here).tabIndex = 0;
    this.hidden = false;
  }

  disconnectedCallback() {
    removeEventListener("pointerup", this.#release);
  }

  #row(row) {
    const line = document.createElement("tr");
    const head = document.createElement("th");
    head.scope = "row";
    const label = document.createElement("span");
    label.className = row % 2 ? "visually-hidden" : "";
    label.textContent = clock(row * STEP);
    head.append(label);
    line.append(head);
    for (const [day, field] of this.fields.entries()) {
      const cell = document.createElement("td");
      cell.setAttribute("role", "gridcell");
      cell.tabIndex = -1;
      cell.setAttribute("aria-label", `${field.dataset.weekday} ${clock(row * STEP)}`);
      Object.assign(cell.dataset, { day, row });
      (this.#cells[day] ??= [])[row] = cell;
      line.append(cell);
    }
    return line;
  }

  #cell(day, row) {
    return this.#cells[day][row];
  }

  #show(day) {
    const windows = read(this.fields[day].value) ?? [];
    for (const [row, cell] of this.#cells[day].entries()) {
      const minutes = open(windows, row * STEP, (row + 1) * STEP);
      cell.setAttribute("aria-selected", String(minutes > 0));
      cell.toggleAttribute("data-part", minutes > 0 && minutes < STEP);
    }
  }

  #paint(day, row, opens) {
    const field = this.fields[day];
    const windows = read(field.value);
    if (windows === null) return field.focus(); // what cannot be read is not written over
    field.value = written((opens ? opened : closed)(windows, row * STEP, (row + 1) * STEP));
    this.#show(day);
    return undefined;
  }

  #isOpen(day, row) {
    return this.#cell(day, row).getAttribute("aria-selected") === "true";
  }

  #go(day, row) {
    this.#cell(...this.#here).tabIndex = -1;
    this.#here = [day, row];
    this.#cell(day, row).tabIndex = 0;
    this.#cell(day, row).focus();
  }

  #key(event) {
    const [day, row] = this.#here;
    if (event.key === " " || event.key === "Enter") {
      event.preventDefault();
      this.#paint(day, row, !this.#isOpen(day, row));
      return;
    }
    const to = this.#target(event.key, day, row);
    if (!to) return;
    event.preventDefault();
    if (event.shiftKey) this.#paint(...to, this.#isOpen(day, row));
    this.#go(...to);
  }

  #target(key, day, row) {
    if (key === "Home") return [day, 0];
    if (key === "End") return [day, ROWS - 1];
    const move = MOVES[key];
    if (!move) return null;
    const to = [day + move[0], row + move[1]];
    return this.#cells[to[0]]?.[to[1]] ? to : null;
  }

  #press(event) {
    const cell = event.target.closest("[role=gridcell]");
    if (!cell || event.button !== 0) return;
    const place = [Number(cell.dataset.day), Number(cell.dataset.row)];
    event.preventDefault();
    this.#go(...place);
    const opens = !this.#isOpen(...place);
    this.#paint(...place, opens);
    if (event.pointerType === "mouse") this.#painting = opens; // a finger scrolls
  }

  #over(event) {
    const cell = this.#painting === null ? null : event.target.closest("[role=gridcell]");
    if (cell) this.#paint(Number(cell.dataset.day), Number(cell.dataset.row), this.#painting);
  }

  #release = () => { this.#painting = null; };

  #copy(from) {
    for (const day of [0, 1, 2, 3, 4]) {
      if (day === from) continue;
      this.fields[day].value = this.fields[from].value;
      this.#show(day);
    }
  }
}

customElements.define("week-grid", WeekGrid);
