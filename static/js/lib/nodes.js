/** The server's HTML as nodes. Parsed apart, where nothing of it runs or loads; HTML is never made here. */

export function nodes(html) {
  const parsed = new DOMParser().parseFromString(html, "text/html");
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
