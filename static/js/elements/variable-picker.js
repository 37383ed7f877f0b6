/** <variable-picker>: buttons that put a variable where the caret of the text is; the caret goes to the place of its fallback. */
class VariablePicker extends HTMLElement {
  connectedCallback() {
    this.addEventListener("click", (event) => {
      const { variable } = event.target.closest("[data-variable]")?.dataset ?? {};
      if (variable) this.#insert(this.querySelector("textarea"), variable);
    });
  }

  #insert(field, variable) {
    const at = field.selectionStart;
    field.setRangeText(variable, at, field.selectionEnd, "end");
    field.focus();
    const bar = variable.indexOf("|");
    if (bar >= 0) field.setSelectionRange(at + bar + 1, at + bar + 1);
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }
}

customElements.define("variable-picker", VariablePicker);
