/**
 * The dialog of a forward: sent by Ctrl or Cmd with Enter, after its files have gone up; what was taken back opens it again. What is written
 * in it stays on this device until the server has it.
 */

import { EnterSends } from "./composition.js";
import { keys } from "./keyboard.js";
import { late } from "./late.js";
import { both, forgetHere, keepHere, localOf } from "./mirror.js";
import { toast } from "./toast.js";
import { word } from "./words.js";

const dialog = document.getElementById("forward");
const waiting = new WeakMap(); // form -> how many of its files go up
const uploading = late(() => import("./uploading.js"), (address) => import(address));
const WORDS = ["to", "cc", "text"];

dialog.addEventListener("change", ({ target }) => { if (target.matches("[data-files]")) attach(target); });
dialog.addEventListener("input", ({ target }) => { if (WORDS.includes(target.name)) keep(target.form); });
dialog.addEventListener("htmx:load", ({ target }) => begin(target));
dialog.addEventListener("htmx:beforeRequest", ({ detail: { requestConfig: { elt } } }) => { if (elt.id === "forward-fields") forgetHere(nameOf(elt)); });
dialog.addEventListener("htmx:afterRequest", ({ detail: { requestConfig: { elt, formData }, xhr: { status } } }) => {
  const isTaken = status >= 200 && status < 300;
  const form = elt.closest("form");
  if (elt === form && !isTaken) keep(form);
  else if (elt.matches("[data-keeps]") && isTaken && WORDS.every((name) => formData.get(name) === form.elements[name].value)) forgetHere(nameOf(form));
});
document.body.addEventListener("forward:sent", () => {
  dialog.close();
  document.getElementById("forward-fields").replaceChildren(); // it opens with what is kept then, and not with this
});
document.body.addEventListener("undone", ({ detail }) => {
  const { ticket } = document.getElementById("ticket").dataset;
  if (detail.url === `/tickets/${ticket}/forwards/withdrawal/`) keys.run("ticket.forward"); // it is a draft again
});

function begin(form) {
  if (form.id !== "forward-fields" || !form.elements) return;
  const send = () => { if (!form.querySelector("[type=submit]").disabled) form.requestSubmit(); };
  for (const control of form.elements) new EnterSends(control, { send, plain: () => false });
  rescue(form);
}

const nameOf = (form) => `forward:${document.body.dataset.me}:${form.getAttribute("action")}`;

function keep(form) {
  keepHere(nameOf(form), Object.fromEntries(WORDS.map((name) => [name, form.elements[name].value])));
}

/** What this device kept and the server never got. Whom the dialog names already, it goes to. */
function rescue(form) {
  const kept = localOf(nameOf(form));
  if (!kept) return;
  const { to, cc, text } = form.elements;
  if (!to.value) {
    to.value = kept.to;
    cc.value = kept.cc;
  }
  text.value = both(text.value, kept.text);
  text.dispatchEvent(new Event("input", { bubbles: true }));
}

function attach(input) {
  const { form } = input;
  const send = form.querySelector("[type=submit]");
  const how = {
    url: input.dataset.url,
    tray: form.querySelector(".composer__tray"),
    changed: () => form.dispatchEvent(new Event("change", { bubbles: true })), // the draft is kept with them
    again: (file) => take([file]),
  };

  function goUp(more) {
    waiting.set(form, (waiting.get(form) ?? 0) + more);
    send.disabled = waiting.get(form) > 0;
  }

  function take(files) {
    goUp(files.length);
    for (const file of files) {
      const going = uploading().then(({ upload }) => upload(file, how));
      going.catch(() => toast(word("failed"), { kind: "error" })).finally(() => goUp(-1));
    }
  }

  take([...input.files]);
  input.value = "";
}

begin(document.getElementById("forward-fields")); // where the dialog was faster than this module
