/** The workspace's own sentences, in the page's language: a JSON block that workspace/page.html writes. */

const block = document.getElementById("workspace-words");
const phrases = block ? JSON.parse(block.textContent) : {};

export function phrase(name, values = {}) {
  return (phrases[name] ?? name).replace(/%\((\w+)\)s/g, (_all, key) => values[key] ?? "");
}
