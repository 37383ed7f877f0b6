/** What this device keeps, by name: above all what is being written, beside the draft on the server. */

/** The name of a reader's text for a ticket and kind. */
export const draftName = ({ ticket, kind }, me) => `draft:${me}:${ticket}:${kind}`;

/** What is kept (of a draft: {text, route, revision, base}); null where there is nothing. */
export function localOf(name) {
  try {
    return JSON.parse(localStorage.getItem(name));
  } catch {
    return null;
  }
}

export function keepHere(name, kept) {
  try {
    localStorage.setItem(name, JSON.stringify(kept));
  } catch { /* a full or forbidden store: the server's copy remains */ }
}

export function forgetHere(name) {
  try {
    localStorage.removeItem(name);
  } catch { /* a forbidden store has nothing */ }
}

/** What was refused is kept here until it is safe elsewhere, before what was written since. */
export function keepRefused(entry, me) {
  if (!entry.text) return;
  const name = draftName(entry, me);
  const { text = "", revision = 0, base = 0, route = new Map(entry.fields).get("route") } = localOf(name) ?? {};
  keepHere(name, { text: followed(entry.text, without([entry.text], text)), route, revision: Math.max(revision, entry.revision) + 1, base });
}

/** Texts one after the other, those that there are. */
export const joined = (...texts) => texts.filter(Boolean).join("\n\n");

/** What is saved elsewhere and what is kept here: the one that has the other in it, else both. */
export function both(saved, kept) {
  if (kept.includes(saved.trim())) return kept;
  return saved.includes(kept.trim()) ? saved : joined(saved, kept);
}

/** A text, and what was written after it: that may have been kept with it. */
export function followed(text, rest) {
  return !text || rest === text || rest.startsWith(`${text}\n\n`) ? rest || text : joined(text, rest);
}

/** A text without those that it begins with. */
export function without(others, text) {
  for (const other of others) {
    if (text.trim() === other.trim()) return "";
    if (other && text.startsWith(`${other}\n\n`)) text = text.slice(other.length + 2);
  }
  return text;
}
