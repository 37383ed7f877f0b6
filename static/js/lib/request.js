/** Requests to our own server, with the token and the words it wants said. */

import { csrfToken, word } from "./words.js";
import { toast } from "./toast.js";

/**
 * Like fetch, as a fragment request. `form` is posted as fields, `json` as JSON. Says what the server asks to be said. The page on which
 * one signs in is no answer to anything: whoever is signed out by now gets 401.
 */
export async function send(method, url, { form = null, json = null, keepalive = false, signal = null } = {}) {
  const headers = { "HX-Request": "true", "X-CSRFToken": csrfToken() };
  let body = null;
  if (json) {
    headers["Content-Type"] = "application/json";
    body = JSON.stringify(json);
  } else if (form) {
    body = form instanceof FormData ? form : new URLSearchParams(form);
  }
  const answer = await fetch(url, { method, headers, body, keepalive, signal, credentials: "same-origin" });
  if (asksToSignIn(answer)) return new Response(null, { status: 401 });
  listen(answer.headers.get("HX-Trigger"));
  const gone = answer.headers.get("X-Ticket-Gone");
  if (gone) document.dispatchEvent(new CustomEvent("ticket:gone", { detail: { ticket: Number(gone) } }));
  return answer;
}

/** Keep a choice of the reader's. It holds on this page all the same where the server is not reached. */
export function keepChoice(url, form) {
  send("POST", url, { form }).catch(() => {});
}

/** The text of a GET; rejects where it is not to be had, with `status` on the error. */
export async function text(url, { signal = null, ahead = false } = {}) {
  const headers = { "HX-Request": "true", ...(ahead ? { "HX-Preloaded": "true" } : {}) };
  const answer = await fetch(url, { headers, signal, credentials: "same-origin" });
  if (asksToSignIn(answer)) location.reload();
  if (!answer.ok) throw Object.assign(new Error(answer.statusText), { status: answer.status });
  return answer.text();
}

/** Do something on the server; a failure is said and gives null. */
export async function act(method, url, form = null) {
  const answer = await send(method, url, { form }).catch(() => null);
  if (!answer || answer.status >= 500) toast(word("failed"), { kind: "error" });
  document.dispatchEvent(new CustomEvent("acted"));
  return answer?.ok ? answer : null;
}

/** What the server asks to be told on this page: the value of HX-Trigger, or null. */
export function listen(trigger) {
  if (!trigger) return;
  for (const [name, detail] of Object.entries(JSON.parse(trigger))) {
    document.body.dispatchEvent(new CustomEvent(name, { detail, bubbles: true }));
  }
}

const asksToSignIn = (answer) => answer.redirected && new URL(answer.url).pathname.startsWith("/accounts/");
