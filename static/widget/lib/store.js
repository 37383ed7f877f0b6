/** The conversations as the server tells them. Applying an event twice changes nothing. No DOM, no network. */
export class Store {
  conversations = new Map();
  signed = false;
  emailKnown = false;
  #seenOfTicket = new Map(); // ticket -> seq up to which we have read what they wrote

  clear() {
    this.conversations.clear();
    this.#seenOfTicket.clear();
  }

  /** Returns the lines that were not known before. */
  apply(event) {
    switch (event.type) {
      case "message": case "message_changed": return this.#message(event);
      case "delivery": this.#delivery(event); break;
      case "read": this.#seenOfTicket.set(event.ticket, Math.max(event.seq, this.#seenOfTicket.get(event.ticket) ?? 0)); break;
      case "conversation": case "agent": case "solved": case "reopened": this.#state(event); break;
      case "queue": this.of(event.conversation).place = event; break;
      case "survey": this.of(event.conversation).score = event.score; break;
      case "identified": this.signed = event.signed; this.emailKnown = event.email; break;
      default: // heartbeat, and what a newer server may say
    }
    return [];
  }

  of(key) {
    if (!this.conversations.has(key)) {
      this.conversations.set(key, { key, open: true, agent: "", score: null, place: null, lines: new Map(), changes: [] });
    }
    return this.conversations.get(key);
  }

  lines(key) {
    const conversation = this.conversations.get(key);
    return conversation ? [...conversation.lines.values()].sort(inOrder) : [];
  }

  /** Newest first. */
  recent() {
    const spoken = [...this.conversations.values()].filter(({ lines }) => lines.size);
    const latest = (conversation) => this.lines(conversation.key).at(-1).at;
    return spoken.sort((a, b) => (latest(a) < latest(b) ? 1 : -1));
  }

  /** How far a line of the visitor's own has come. */
  stateOf(line) {
    return line.seq <= (this.#seenOfTicket.get(line.ticket) ?? 0) ? "seen" : "arrived";
  }

  unread(key) {
    const of = key ? [this.conversations.get(key)].filter(Boolean) : [...this.conversations.values()];
    return of.flatMap(({ lines }) => [...lines.values()]).filter((line) => line.from !== "visitor" && line.state !== "read");
  }

  #message(event) {
    const lines = this.of(event.conversation).lines;
    const before = lines.get(event.id);
    if (before && rank(before.state) > rank(event.state)) event = { ...event, state: before.state };
    lines.set(event.id, { ...event, type: "message" });
    if (!before && event.from === "agent") this.of(event.conversation).place = null;
    return before ? [] : [event];
  }

  #delivery({ id, state }) {
    for (const { lines } of this.conversations.values()) {
      const line = lines.get(id);
      if (line && rank(state) > rank(line.state)) lines.set(id, { ...line, state });
    }
  }

  /** Marks of what this panel itself has reported, before the server says it back. */
  mark(ticket, seq, state) {
    for (const { lines } of this.conversations.values()) {
      for (const line of lines.values()) {
        if (line.ticket === ticket && line.seq <= seq && line.from !== "visitor" && rank(state) > rank(line.state)) {
          lines.set(line.id, { ...line, state });
        }
      }
    }
  }

  #state({ conversation, open, agent, score }) {
    Object.assign(this.of(conversation), { open, agent, score, ...(agent || !open ? { place: null } : {}) });
  }
}

function inOrder(a, b) {
  if (a.at !== b.at) return a.at < b.at ? -1 : 1;
  return a.seq - b.seq;
}

function rank(state) {
  return ["", "sent", "delivered", "read"].indexOf(state);
}
