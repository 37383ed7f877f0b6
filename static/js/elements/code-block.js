/** <code-block>: code with a button that copies it. */

import { toast } from "../lib/toast.js";
import { word } from "../lib/words.js";

class CodeBlock extends HTMLElement {
  connectedCallback() {
    this.querySelector("[data-copy]").addEventListener("click", () => this.#copy());
  }

  async #copy() {
    const code = this.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
      toast(word("copied"), { duration: 3000 });
    } catch {
      getSelection().selectAllChildren(code); // no permission: leave it selected for Ctrl+C
    }
  }
}

customElements.define("code-block", CodeBlock);
