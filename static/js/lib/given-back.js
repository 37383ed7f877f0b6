/**
 * What was sent and refused is a draft of its ticket again, with all that went along, before what was written there since: in the composer
 * where that is on the screen, else on the server (on this device, where that cannot be reached), and a toast leads there.
 */

import { phrase } from "./phrases.js";
import { send } from "./request.js";
import { toast } from "./toast.js";
import { word } from "./words.js";

const SHOWN_MS = 60_000; // the customer has no answer

/** `files`: {desk, chips} from where it was sent, where this page still has them; `desk()`: the ticket's desk where it is on the screen; `me`: id of the reader. */
export async function giveBack(entry, answer, files, { me, desk, toTicket, mark }) {
  const kept = draftOf(entry);
  if (desk() && !files && kept.files.length) {
    await keep(entry, kept, me);
    const draft = await read(entry);
    desk()?.giveBack(entry, answer, { ...kept, files: draft?.files ?? "", revision: draft?.revision });
  } else if (desk()) {
    const chips = [...(files?.chips.children ?? [])];
    const isSame = files?.desk === desk(); // what failed can only be tried again from there
    desk().giveBack(entry, answer, { ...kept, files: chips.filter((chip) => isSame || chip.dataset.state !== "failed") });
  }
  if (desk()) return;
  mark(entry.ticket, await keep(entry, kept, me));
  toast(reasonOf(answer, files), { kind: "error", action: toTicket(entry.ticket), duration: SHOWN_MS });
}

/** What was written after it, on a ticket that is not on the screen any more, is not kept on this device alone. */
export async function keepRest(entry, me) {
  if (localOf(entry, me)?.text) await keep(entry, { ...draftOf(entry), text: "", files: [], macro: undefined, client_uuid: crypto.randomUUID() }, me);
}

function draftOf({ text, fields }) {
  const said = new Map(fields);
  const all = (name) => fields.filter(([one]) => one === name).map(([, value]) => Number(value));
  return {
    text,
    route: said.get("route"),
    files: all("files"),
    seen: Number(said.get("last_seen_message_id")) || null,
    client_uuid: said.get("client_uuid"),
    ...(said.has("macro") ? { macro: Number(said.get("macro")), deeds: all("deed") } : {}),
    ...(said.has("to") ? { to: said.get("to"), cc: said.get("cc") } : {}),
  };
}

/** Keep it as the draft, with what is there. Resolves to its text. */
async function keep(entry, kept, me) {
  const saved = await read(entry);
  const local = localOf(entry, me);
  const text = followed(grown(saved?.text ?? "", kept.text), local?.text ?? "");
  const revision = Math.max(saved?.revision ?? 0, entry.revision, local?.revision ?? 0) + 1;
  keepHere(entry, me, { text, revision, base: saved?.revision ?? 0, route: kept.route, at: Date.now() });
  const json = { ...kept, text, revision, base: saved?.revision ?? 0 };
  const answer = saved && await send("PUT", entry.draftUrl, { json }).catch(() => null);
  if (answer?.ok) localStorage.removeItem(nameOf(entry, me));
  return text;
}

const read = ({ draftUrl }) => send("GET", draftUrl).then((answer) => (answer.ok ? answer.json() : null)).catch(() => null);

const nameOf = ({ ticket, kind }, me) => `draft:${me}:${ticket}:${kind}`;

function localOf(entry, me) {
  try {
    return JSON.parse(localStorage.getItem(nameOf(entry, me)));
  } catch {
    return null;
  }
}

function keepHere(entry, me, kept) {
  try {
    localStorage.setItem(nameOf(entry, me), JSON.stringify(kept));
  } catch { /* a full or forbidden store: the server's copy remains */ }
}

/** What was saved of a text, and what it was when it was sent. */
function grown(saved, text) {
  if (text.startsWith(saved.trim())) return text;
  return saved.startsWith(text.trim()) ? saved : `${saved}\n\n${text}`;
}

/** A text, and what was written after it: that may have been kept with it. */
function followed(text, rest) {
  return !text || rest === text || rest.startsWith(`${text}\n\n`) ? rest || text : [text, rest].filter(Boolean).join("\n\n");
}

function reasonOf({ status, html }, files) {
  if (status === 409) return word("notSent");
  const failed = files?.chips.querySelector("[data-state=failed] .attachment__name")?.textContent;
  const refused = status === 422 && new DOMParser().parseFromString(html, "text/html").querySelector("p")?.textContent;
  const reason = failed ? phrase("fileFailed", { name: failed }) : refused;
  return [word("notTaken"), reason].filter(Boolean).join(" ");
}
