/** An answer that was not delivered, taken up again: its text and files stand in the composer, by a way that works. */

import { send } from "./request.js";
import { toast } from "./toast.js";
import { word } from "./words.js";

/** `button` carries the address; with data-another it does not go the way that failed. */
export async function takeUp(desk, button) {
  button.disabled = true;
  const form = "another" in button.dataset ? { elsewhere: "1" } : {};
  const answer = await send("POST", button.dataset.again, { form }).catch(() => null);
  button.disabled = false;
  if (!answer?.ok) {
    toast(word("failed"), { kind: "error" });
    return;
  }
  const { bubble, ...kept } = await answer.json();
  desk.thread()?.apply([bubble]);
  desk.takenBack(kept);
}
