/** What a screen says of its view where no socket says it: which ticket, and whether somebody writes there. */

import { send } from "./request.js";

const screen = Math.random().toString(16).slice(2, 10).padEnd(8, "0"); // this tab
let told = { ticket: null, doing: "" };

/** Resolves to {ticket, people}: who is there; null where that is not to be had. */
export async function attend({ ticket, doing }) {
  const before = told.ticket === ticket ? told.doing : "";
  if (told.ticket !== ticket) withdraw();
  if (!ticket) return null;
  told = { ticket, doing };
  const answer = await tell("POST", ticket, { doing, before });
  return answer?.ok ? { ticket, ...await answer.json() } : null;
}

export function withdraw() {
  const { ticket, doing } = told;
  told = { ticket: null, doing: "" };
  if (ticket) tell("DELETE", ticket, { before: doing });
}

function tell(method, ticket, words) {
  const address = `/tickets/${ticket}/presence/?${new URLSearchParams({ screen, ...words })}`;
  return send(method, address, { keepalive: true }).catch(() => null);
}
