/**
 * <pane-splitter data-pane data-min data-max data-default data-edge>: the grip between two panes. Drag it, or use the arrow keys
 * (16 px, with Shift 64), Home, End, Enter or a double click for the default. The width is saved on the server.
 */

import { keepChoice } from "../lib/request.js";

class PaneSplitter extends HTMLElement {
  #saving = 0;

  connectedCallback() {
    this.min = Number(this.dataset.min);
    this.max = Number(this.dataset.max);
    this.property = `--${this.dataset.pane}-width`;
    this.sign = this.dataset.edge === "start" ? -1 : 1;
    this.#tell(this.width);
    this.addEventListener("pointerdown", (event) => this.#drag(event));
    this.addEventListener("dblclick", () => this.resize(Number(this.dataset.default)));
    this.addEventListener("keydown", (event) => this.#key(event));
  }

  get width() {
    return this.parentElement.getBoundingClientRect().width || Number(this.dataset.default);
  }

  resize(width, { save = true } = {}) {
    const px = Math.round(Math.min(this.max, Math.max(this.min, width)));
    document.documentElement.style.setProperty(this.property, `${px}px`);
    this.#tell(px);
    if (save) this.#save(px);
  }

  #tell(px) {
    this.setAttribute("aria-valuemin", this.min);
    this.setAttribute("aria-valuemax", this.max);
    this.setAttribute("aria-valuenow", Math.round(px));
  }

  #drag(event) {
    if (event.button !== 0) return;
    event.preventDefault();
    this.setPointerCapture(event.pointerId);
    this.dataset.dragging = "";
    const from = event.clientX;
    const width = this.width;
    const move = (moved) => this.resize(width + this.sign * (moved.clientX - from), { save: false });
    const done = () => {
      this.removeEventListener("pointermove", move);
      delete this.dataset.dragging;
      this.#save(Number(this.getAttribute("aria-valuenow")));
    };
    this.addEventListener("pointermove", move);
    this.addEventListener("lostpointercapture", done, { once: true });
  }

  #key(event) {
    const step = (event.shiftKey ? 64 : 16) * this.sign;
    const to = {
      ArrowLeft: this.width - step, ArrowRight: this.width + step, Home: this.min, End: this.max, Enter: Number(this.dataset.default),
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.resize(to);
  }

  #save(px) {
    clearTimeout(this.#saving);
    const url = document.getElementById("app")?.dataset.savePanes;
    if (!url) return;
    this.#saving = setTimeout(() => keepChoice(url, { [this.dataset.pane]: px }), 400);
  }
}

customElements.define("pane-splitter", PaneSplitter);
