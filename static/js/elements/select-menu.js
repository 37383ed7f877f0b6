/**
 * <select-menu>: a button that opens a list of options, with a filter where there is one (ARIA 1.2 combobox).
 * Its hidden input holds the value (comma-separated when `multiple`) and sends `change`. Markup: components/property.html.
 */

class SelectMenu extends HTMLElement {
  #active = -1;
  #changed = false;
  #before = null; // what stood here before the reader chose

  connectedCallback() {
    this.input = this.querySelector("input[type=hidden]");
    this.popup = this.querySelector("[popover]");
    if (!this.popup) return;
    this.filter = this.popup.querySelector("[role=combobox]");
    this.reason = this.popup.querySelector("[data-reason]");
    this.popup.addEventListener("toggle", (event) => (event.newState === "open" ? this.#opened() : this.#closed()));
    this.popup.addEventListener("click", (event) => this.#choose(event.target.closest("[role=option]")));
    this.popup.addEventListener("keydown", (event) => this.#key(event));
    this.popup.addEventListener("change", (event) => event.stopPropagation()); // what is typed in it is no choice
    this.filter?.addEventListener("input", () => this.#narrow());
  }

  get value() {
    return this.input.value;
  }

  /** Chosen by somebody else than the reader: shown, and not told. */
  set value(value) {
    const option = this.options.find((one) => one.dataset.value === value);
    if (option) this.#show(option);
  }

  /** What was chosen was not taken: all is as it was before. */
  revert() {
    if (!this.#before) return;
    const { value, label } = this.#before;
    const chosen = this.hasAttribute("multiple") ? value.split(",") : [value];
    this.input.value = value;
    for (const option of this.options) option.ariaSelected = String(chosen.includes(option.dataset.value));
    this.#place?.replaceChildren(...label);
    this.#before = null;
  }

  get options() {
    return [...(this.popup?.querySelectorAll("[role=option]") ?? [])];
  }

  get shown() {
    return this.options.filter((option) => !option.hidden);
  }

  get #place() {
    return this.querySelector("[data-current]");
  }

  /** Of several: also what the list does not hold, which may be cut off. */
  get #chosen() {
    const known = new Set(this.options.map((option) => option.dataset.value));
    const others = this.input.value.split(",").filter((value) => value && !known.has(value));
    return [...others, ...this.options.filter((option) => option.ariaSelected === "true").map((option) => option.dataset.value)];
  }

  #opened() {
    this.#narrow();
    const chosen = this.shown.findIndex((option) => option.ariaSelected === "true");
    this.#go(Math.max(0, chosen));
    (this.filter ?? this.shown[this.#active])?.focus();
  }

  #closed() {
    for (const field of [this.filter, this.reason]) if (field) field.value = ""; // here and not on opening: what is typed at once must not be lost
    if (this.hasAttribute("multiple") && this.#changed) this.#tell();
    this.#changed = false;
  }

  #narrow() {
    const wanted = (this.filter?.value ?? "").trim().toLocaleLowerCase();
    for (const option of this.options) option.hidden = !option.textContent.toLocaleLowerCase().includes(wanted);
    const none = this.popup.querySelector(".menu__none");
    if (none) none.hidden = this.shown.length > 0;
    this.#go(0);
  }

  #go(to) {
    const shown = this.shown;
    for (const option of this.options) delete option.dataset.active;
    this.#active = shown.length ? (to + shown.length) % shown.length : -1;
    const active = shown[this.#active];
    if (!active) {
      this.filter?.removeAttribute("aria-activedescendant");
      return;
    }
    active.dataset.active = "";
    active.scrollIntoView({ block: "nearest" });
    if (this.filter) this.filter.setAttribute("aria-activedescendant", active.id);
    else if (this.popup.matches(":popover-open")) active.focus();
  }

  #key(event) {
    if (event.isComposing || event.keyCode === 229) return;
    const inReason = this.reason && event.target === this.reason;
    const to = { ArrowDown: this.#active + 1, ArrowUp: this.#active - 1, ...(inReason ? {} : { Home: 0, End: this.shown.length - 1 }) }[event.key];
    if (event.key === "Tab" && this.reason) {
      event.preventDefault();
      (inReason ? this.filter : this.reason).focus();
    } else if (to !== undefined) {
      event.preventDefault();
      this.#go(to);
    } else if (event.key === "Enter") {
      event.preventDefault();
      this.#choose(this.shown[this.#active]);
    }
  }

  #choose(option) {
    if (!option || option.ariaDisabled === "true") return;
    this.#before ??= { value: this.input.value, label: [...(this.#place?.childNodes ?? [])] };
    if (this.hasAttribute("multiple")) {
      option.ariaSelected = String(option.ariaSelected !== "true");
      this.#changed = true;
      this.#showAll();
      return;
    }
    const changed = this.input.value !== option.dataset.value;
    this.#show(option);
    this.popup.hidePopover();
    this.querySelector("[popovertarget]").focus();
    if (changed) this.#tell();
  }

  #show(option) {
    for (const other of this.options) other.ariaSelected = String(other === option);
    this.input.value = option.dataset.value;
    this.#place?.replaceChildren(option.querySelector("[data-label]").cloneNode(true));
  }

  /** Several, as they stand in the button: at once, and not when the menu closes. */
  #showAll() {
    if (!this.#place) return;
    const labels = new Map([...this.#place.querySelectorAll(".tag")].map((tag) => [tag.textContent.trim(), tag]));
    for (const option of this.options) labels.set(option.dataset.value, option.querySelector("[data-label] .tag"));
    const shown = this.#chosen.map((value) => labels.get(value)?.cloneNode(true)).filter(Boolean);
    if (shown.length) {
      const tags = document.createElement("span");
      tags.className = "tags";
      tags.append(...shown);
      this.#place.replaceChildren(tags);
    } else {
      this.#place.replaceChildren(this.querySelector("template[data-none]").content.cloneNode(true));
    }
  }

  #tell() {
    if (this.hasAttribute("multiple")) this.input.value = this.#chosen.join(",");
    this.input.dispatchEvent(new Event("change", { bubbles: true }));
  }
}

customElements.define("select-menu", SelectMenu);
