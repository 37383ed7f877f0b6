/** The page's one keyboard: the key map of the server, listened to by app.js. */

import { ariaKeys, isMac, Keys } from "./keys.js";
import { keyMap } from "./words.js";

export const keys = new Keys({ single: keyMap.single, commands: keyMap.commands });

/** Write ⌘ for Mod on a Mac, and tell assistive technology the keys of each control. */
export function labelControls(root = document) {
  if (isMac) for (const cap of root.querySelectorAll("kbd[data-mod]")) cap.textContent = "⌘";
  for (const control of root.querySelectorAll("[data-command]:not([aria-keyshortcuts])")) {
    const command = keys.command(control.dataset.command);
    if (command) (control.querySelector("input[type=radio]") ?? control).setAttribute("aria-keyshortcuts", ariaKeys(command));
  }
}
