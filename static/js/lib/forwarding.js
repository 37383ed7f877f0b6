/** The dialog of a forward: sent by Ctrl or Cmd with Enter, after its files have gone up; what was taken back opens it again. */

import { keys } from "./keyboard.js";

const dialog = document.getElementById("forward");
let waiting = 0; // files that go up

dialog.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.isComposing) return;
  event.preventDefault();
  const form = event.target.closest("form");
  if (!form?.querySelector("[type=submit]").disabled) form?.requestSubmit();
});
dialog.addEventListener("change", ({ target }) => { if (target.matches("[data-files]")) attach(target); });
document.body.addEventListener("forward:sent", () => {
  dialog.close();
  document.getElementById("forward-fields").replaceChildren(); // it opens with what is kept then, and not with this
});
document.body.addEventListener("undone", ({ detail }) => {
  const { ticket } = document.getElementById("ticket").dataset;
  if (detail.url === `/tickets/${ticket}/forwards/withdrawal/`) keys.run("ticket.forward"); // it is a draft again
});

async function attach(input) {
  const { form } = input;
  const send = form.querySelector("[type=submit]");
  const { upload } = await import("./uploading.js");
  const how = {
    url: input.dataset.url,
    tray: form.querySelector(".composer__tray"),
    tools: form.querySelector("template[data-failed]"),
    changed: () => form.dispatchEvent(new Event("change", { bubbles: true })), // the draft is kept with them
    again: (file) => take([file]),
  };

  function take(files) {
    waiting += files.length;
    send.disabled = true;
    for (const file of files) upload(file, how).catch(() => {}).finally(() => { send.disabled = --waiting > 0; });
  }

  take([...input.files]);
  input.value = "";
}
