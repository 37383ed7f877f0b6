/** <toast-region>: shows what the server says by the `HX-Trigger: {"toast": {"message", "undo", "kind"}}` header, and its own first ones. */

import { toast, watch } from "../lib/toast.js";

class ToastRegion extends HTMLElement {
  connectedCallback() {
    for (const element of this.querySelectorAll(":scope > .toast")) watch(element);
    document.body.addEventListener("toast", (event) => {
      const { message, value, undo, kind, duration } = event.detail;
      toast(message ?? value, { undo, kind, duration });
    });
  }
}

customElements.define("toast-region", ToastRegion);
