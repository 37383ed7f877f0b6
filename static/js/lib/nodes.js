/**
 * The server's HTML as nodes. Parsed apart, where nothing of it runs or loads; HTML is never made here. A style sheet of a part goes to the
 * head and stays: coming and going with its part it would lay out the whole page anew, each time.
 */

export function nodes(html) {
  return adopted(parsed(html));
}

/** The first half of `nodes`, which can be done ahead: a document of its own. */
export function parsed(html) {
  return new DOMParser().parseFromString(html, "text/html");
}

/** The second half. What it gives is taken out of `parsed`: once. */
export function adopted(parsed) {
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

const unseen = []; // by htmx
const seen = () => { for (const node of unseen.splice(0)) if (node.isConnected) window.htmx?.process(node); };
for (const name of ["keydown", "pointerdown", "click", "submit"]) addEventListener(name, seen, { capture: true });

/** Like `replace`, for what should be painted first: htmx sees it after the picture, at the latest when somebody does something. */
export function show(element, fresh) {
  element.replaceWith(fresh);
  unseen.push(fresh);
  painted().then(seen);
}

export function fill(element, fresh) {
  element.replaceChildren(...fresh);
  for (const node of fresh) window.htmx?.process(node);
}

export function fromTemplate(id) {
  return document.getElementById(id).content.firstElementChild.cloneNode(true);
}

/** After the next picture; at once where none is painted. */
export const painted = () => new Promise((resolve) => {
  if (document.hidden) resolve();
  else requestAnimationFrame(() => setTimeout(resolve));
});
