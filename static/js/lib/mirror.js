/** What is being written, as this device keeps it: one text of a reader for each ticket and kind, beside the draft on the server. */

const nameOf = ({ ticket, kind }, me) => `draft:${me}:${ticket}:${kind}`;

/** {text, route, revision, base, at}; null where there is none. */
export function localOf(entry, me) {
  try {
    return JSON.parse(localStorage.getItem(nameOf(entry, me)));
  } catch {
    return null;
  }
}

export function keepHere(entry, me, kept) {
  try {
    localStorage.setItem(nameOf(entry, me), JSON.stringify(kept));
  } catch { /* a full or forbidden store: the server's copy remains */ }
}

export function forgetHere(entry, me) {
  try {
    localStorage.removeItem(nameOf(entry, me));
  } catch { /* as above */ }
}

/** What was refused is kept here until it is safe elsewhere, before what was written since. */
export function keepRefused(entry, me) {
  const { text = "", revision = 0, base = 0, route = new Map(entry.fields).get("route") } = localOf(entry, me) ?? {};
  if (!entry.text) return;
  keepHere(entry, me, { text: followed(entry.text, without([entry.text], text)), route, revision: Math.max(revision, entry.revision) + 1, base, at: Date.now() });
}

/** A text, and what was written after it: that may have been kept with it. */
export function followed(text, rest) {
  return !text || rest === text || rest.startsWith(`${text}\n\n`) ? rest || text : [text, rest].filter(Boolean).join("\n\n");
}

/** A text without those that it begins with. */
export function without(others, text) {
  for (const other of others) {
    if (text.trim() === other.trim()) return "";
    if (other && text.startsWith(`${other}\n\n`)) text = text.slice(other.length + 2);
  }
  return text;
}
