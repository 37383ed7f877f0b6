/** The style guide's own buttons. */

import { toast } from "./lib/toast.js";

for (const button of document.querySelectorAll("[data-sample-toast]")) {
  button.addEventListener("click", () => toast(button.textContent, { undo: () => toast(button.textContent) }));
}
