/** <bulk-job>: how far a deed on many tickets is, and what of it could not be done. The socket tells; without it we ask. */

import { nodes, fill } from "../lib/nodes.js";
import { phrase } from "../lib/phrases.js";
import { text } from "../lib/request.js";

const ASK_MS = 2000;
const SMALL = 3; // tickets: done before one could read about it

class BulkJob extends HTMLElement {
  #job = null;
  #timer = null;

  connectedCallback() {
    this.querySelector("[data-close-job]").addEventListener("click", () => { this.hidden = true; });
    this.querySelector("[data-show]").addEventListener("click", () => this.#showErrors());
  }

  /** A job that this screen has just begun. */
  follow(job) {
    this.#job = job;
    this.#show(job);
    this.#askLater();
  }

  /** What the socket says of one of this person's jobs, an undo among them. */
  told(job) {
    if (this.#job?.job !== job.job && !job.undo) return;
    this.#job = { url: `/bulk/${job.job}/`, ...(this.#job?.job === job.job ? this.#job : {}), ...job };
    this.#show(this.#job);
    if (job.left) this.#askLater();
  }

  #askLater() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(async () => {
      const answer = await text(this.#job.url).catch(() => null);
      if (answer) this.told(JSON.parse(answer));
      else this.#askLater();
    }, ASK_MS);
  }

  #show({ total, done, failed, left }) {
    const isOver = left === 0;
    this.hidden = (isOver && !failed) || (!isOver && total <= SMALL);
    const bar = this.querySelector("progress");
    bar.max = Math.max(total, 1);
    bar.value = done + failed;
    bar.hidden = isOver;
    this.querySelector("[data-words]").textContent = failed ? phrase("bulkFailed", { done, failed }) : phrase("bulkGoesOn", { done, total });
    this.querySelector("[data-show]").hidden = !failed;
    this.toggleAttribute("data-failed", failed > 0);
    if (isOver) {
      clearTimeout(this.#timer);
      this.dispatchEvent(new CustomEvent("bulk:done", { bubbles: true, detail: this.#job }));
    }
  }

  async #showErrors() {
    const dialog = document.getElementById("bulk-errors");
    fill(dialog.querySelector("[data-errors]"), nodes(await text(`${this.#job.url}errors/`)));
    dialog.showModal();
  }
}

customElements.define("bulk-job", BulkJob);
