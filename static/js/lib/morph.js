/**
 * Make an element that is on the screen like a fresh one, in place: what is pressed, focused or hovered stays the same element.
 * What belongs to the browser (slots, frames, what a reader chose or unfolded, and the attributes that it sets) is left as it is.
 */

const OURS = new Set(["class", "aria-current", "aria-keyshortcuts", "title", "data-asked", "open", "tabindex"]);
const DOES = ["hx-get", "hx-post", "hx-delete"]; // htmx binds what an element does, once

export function morph(place, fresh) {
  if (place.matches("iframe, [data-chosen]")) return;
  if (place.matches("time") && place.dateTime !== fresh.dateTime) place.removeAttribute("title"); // it says the old moment
  for (const { name, value } of [...fresh.attributes]) {
    if (!OURS.has(name) && place.getAttribute(name) !== value) place.setAttribute(name, value);
  }
  for (const { name } of [...place.attributes]) {
    if (!OURS.has(name) && !fresh.hasAttribute(name)) place.removeAttribute(name);
  }
  if ("slot" in place.dataset || place.matches("input")) return;
  const now = [...place.childNodes];
  const wanted = [...fresh.childNodes];
  wanted.forEach((node, i) => {
    const old = now[i];
    if (!old) place.append(node);
    else if (!isAlike(old, node)) old.replaceWith(node);
    else if (node.nodeType === Node.TEXT_NODE) {
      if (old.data !== node.data) old.data = node.data;
    } else if (node.nodeType === Node.ELEMENT_NODE) morph(old, node);
  });
  for (const extra of now.slice(wanted.length)) extra.remove();
}

/** Alike enough to become the other: a tag, its classes and what it does; pictures are exchanged whole. */
function isAlike(one, other) {
  if (one.nodeType !== other.nodeType || one.nodeName !== other.nodeName) return false;
  if (one.nodeType !== Node.ELEMENT_NODE) return true;
  if (one.nodeName === "IFRAME") return one.getAttribute("src") === other.getAttribute("src");
  if (DOES.some((name) => one.getAttribute(name) !== other.getAttribute(name))) return false;
  return one.nodeName !== "svg" && one.className === other.className && one.dataset.slot === other.dataset.slot;
}
