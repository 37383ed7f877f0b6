/** Adds and removes rows of a condition builder. A row is rendered by the server for the chosen field. */
class ConditionBuilder extends HTMLElement {
  #next = 0;

  connectedCallback() {
    this.#next = Number(this.dataset.next);
    this.addEventListener("click", (event) => this.#click(event));
    this.addEventListener("change", (event) => this.#change(event));
  }

  #click(event) {
    const remove = event.target.closest("[data-remove]");
    if (remove) {
      const row = this.querySelector(remove.dataset.remove);
      const neighbour = row.nextElementSibling ?? row.previousElementSibling;
      row.remove();
      (neighbour?.querySelector("select") ?? this.querySelector("[data-add]")).focus();
    }
    if (event.target.closest("[data-add]")) this.#load(this.#next++, "text", null);
  }

  #change(event) {
    const match = /^cond-(\d+)-field$/.exec(event.target.name ?? "");
    if (match) this.#load(Number(match[1]), event.target.value, event.target.closest(".condition"));
  }

  async #load(n, field, old) {
    const address = this.querySelector("[data-add]").dataset.add;
    const answer = await fetch(`${address}?${new URLSearchParams({ n, field })}`);
    if (!answer.ok) return;
    const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
    const row = document.importNode(parsed.querySelector(".condition"), true);
    if (old) old.replaceWith(row);
    else this.querySelector("[data-rows]").append(row);
    row.querySelector("select").focus();
  }
}

customElements.define("condition-builder", ConditionBuilder);
