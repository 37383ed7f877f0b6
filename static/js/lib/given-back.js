/**
 * What was sent and refused is a draft of its ticket again, with all that went along, before what was written there since: in the composer
 * where that is on the screen, else on the server (on this device, where that cannot be reached), and a toast leads there.
 */

import { draftName, followed, forgetHere, joined, keepHere, localOf, without } from "./mirror.js";
import { parsed } from "./nodes.js";
import { phrase } from "./phrases.js";
import { send } from "./request.js";
import { toast } from "./toast.js";
import { word } from "./words.js";

const SHOWN_MS = 60_000; // the customer has no answer
const LONGEST_MS = 15_000; // what the network has swallowed
const MOST = 3; // saves of a draft that another tab writes as well

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

/**
 * On a ticket that is not on the screen any more: what was sent is no draft of this device any longer, and what was written after it is not
 * kept there alone. `waits`: more of it is on its way, whose arrival would end that draft.
 */
export async function keepRest(entry, me, waits) {
  const name = draftName(entry, me);
  const local = localOf(name);
  const text = without([entry.text], local?.text ?? "");
  if (!text) {
    forgetHere(name);
    return;
  }
  keepHere(name, { ...local, text });
  if (!waits) await keep(entry, { ...draftOf(entry), text: "", files: [], macro: undefined, client_uuid: crypto.randomUUID() }, me, entry.text);
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

/**
 * Keep it as the draft, with what is there but not what was `sent`; once more with what another tab has saved in this very moment. Resolves
 * to its text.
 */
async function keep(entry, kept, me, sent = "") {
  const name = draftName(entry, me);
  let local = null;
  for (let left = MOST; ; left -= 1) {
    const saved = await read(entry);
    local ??= localOf(name) ?? {};
    const text = followed(grown(without([sent], saved?.text ?? ""), kept.text), without([kept.text], local.text ?? ""));
    const base = saved?.revision ?? 0;
    const revision = Math.max(base, entry.revision, local.revision ?? 0) + 1;
    keepHere(name, { text, revision, base, route: kept.route });
    const answer = saved && await send("PUT", entry.draftUrl, { json: { ...kept, text, revision, base }, signal: AbortSignal.timeout(LONGEST_MS) }).catch(() => null);
    const isOvertaken = answer?.ok && (await answer.json()).overtaken;
    if (answer?.ok && !isOvertaken) forgetHere(name);
    if (!isOvertaken || left <= 1) return text;
  }
}

const read = ({ draftUrl }) => send("GET", draftUrl, { signal: AbortSignal.timeout(LONGEST_MS) }).then((answer) => (answer.ok ? answer.json() : null)).catch(() => null);

/** What was saved of a text, and what it was when it was sent. */
function grown(saved, text) {
  if (text.startsWith(saved.trim())) return text;
  return saved.startsWith(text.trim()) ? saved : joined(saved, text);
}

function reasonOf({ status, html }, files) {
  if (status === 409) return word("notSent");
  const failed = files?.chips.querySelector("[data-state=failed] .attachment__name")?.textContent;
  const refused = status === 422 && parsed(html).querySelector("p")?.textContent;
  const reason = failed ? phrase("fileFailed", { name: failed }) : refused;
  return [word("notTaken"), reason].filter(Boolean).join(" ");
}
