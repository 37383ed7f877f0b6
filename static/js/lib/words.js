/** The server's words and settings for modules: JSON blocks that base.html writes. */

export function block(id, empty) {
  const element = document.getElementById(id);
  return element ? JSON.parse(element.textContent) : empty;
}

const words = block("words", {});
export const keyMap = block("key-map", { single: true, sendKey: "enter", commands: [], places: [] });
export const language = document.documentElement.lang || "en";

/** A sentence in the page's language; `%(name)s` is filled from `values`. */
export const word = (name, values) => filled(words[name] ?? name, values);

/** A sentence of the server's with the values in their places. */
export function filled(sentence, values = {}) {
  return sentence.replace(/%\((\w+)\)s/g, (_all, key) => values[key] ?? "");
}

export function csrfToken() {
  const headers = document.body.getAttribute("hx-headers");
  return headers ? JSON.parse(headers)["X-CSRFToken"] : "";
}

/** Clone the first <template> inside `host`; HTML is never made from strings. */
export function clone(host) {
  return host.querySelector("template").content.firstElementChild.cloneNode(true);
}
