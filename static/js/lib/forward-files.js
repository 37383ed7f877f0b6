/** Files of one's own in the dialog of a forward: they go up, and it waits for them. */

import { upload } from "./uploading.js";

export function attach(input) {
  const { form } = input;
  const send = form.querySelector("[type=submit]");
  const how = {
    url: input.dataset.url,
    tray: form.querySelector(".composer__tray"),
    tools: form.querySelector("template[data-failed]"),
    changed: () => form.dispatchEvent(new Event("change", { bubbles: true })), // the draft is kept with them
    again: (file) => take([file]),
  };
  let waiting = 0;

  async function take(files) {
    waiting += files.length;
    send.disabled = true;
    for (const file of files) upload(file, how).catch(() => {}).finally(() => { send.disabled = --waiting > 0; });
  }

  take([...input.files]);
  input.value = "";
}
