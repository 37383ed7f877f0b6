/**
 * The server's HTML as nodes. Parsed apart, where nothing of it runs or loads; HTML is never made here. A style sheet of a part goes to the
 * head and stays: coming and going with its part it would lay out the whole page anew, each time.
 */

export function nodes(html) {
  const parsed = new DOMParser().parseFromString(html, "text/html");
  for (const sheet of parsed.querySelectorAll("link[rel=stylesheet]")) {
    const isKnown = [...document.head.querySelectorAll("link[rel=stylesheet]")].some((known) => known.href === sheet.href);
    sheet.remove();
    if (!isKnown) document.head.append(document.adoptNode(sheet));
  }
  return [...parsed.body.children].map((node) => document.adoptNode(node));
}

/** Put nodes in the place of an element and let htmx see them. */
export function replace(element, ...fresh) {
  element.replaceWith(...fresh);
  for (const node of fresh) window.htmx?.process(node);
  return fresh[0];
}

export function fill(element, fresh) {
  element.replaceChildren(...fresh);
  for (const node of fresh) window.htmx?.process(node);
}

export function fromTemplate(id) {
  return document.getElementById(id).content.firstElementChild.cloneNode(true);
}
