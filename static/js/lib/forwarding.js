/** The dialog of a forward: sent by Ctrl or Cmd with Enter, after its files have gone up; what was taken back opens it again. */

import { EnterSends } from "./composition.js";
import { keys } from "./keyboard.js";

const dialog = document.getElementById("forward");
const waiting = new WeakMap(); // form -> how many of its files go up
const heard = new WeakSet();

for (const name of ["focusin", "keydown"]) dialog.addEventListener(name, ({ target }) => hear(target), true); // before the key is theirs
dialog.addEventListener("change", ({ target }) => { if (target.matches("[data-files]")) attach(target); });
document.body.addEventListener("forward:sent", () => {
  dialog.close();
  document.getElementById("forward-fields").replaceChildren(); // it opens with what is kept then, and not with this
});
document.body.addEventListener("undone", ({ detail }) => {
  const { ticket } = document.getElementById("ticket").dataset;
  if (detail.url === `/tickets/${ticket}/forwards/withdrawal/`) keys.run("ticket.forward"); // it is a draft again
});

function hear(control) {
  const { form } = control;
  if (!form || heard.has(control)) return;
  heard.add(control);
  const send = () => { if (!form.querySelector("[type=submit]").disabled) form.requestSubmit(); };
  new EnterSends(control, { send, plain: () => false });
}

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

  function goUp(more) {
    waiting.set(form, (waiting.get(form) ?? 0) + more);
    send.disabled = waiting.get(form) > 0;
  }

  function take(files) {
    goUp(files.length);
    for (const file of files) upload(file, how).catch(() => {}).finally(() => goUp(-1));
  }

  take([...input.files]);
  input.value = "";
}
