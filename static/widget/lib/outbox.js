const AGAIN_MS = [1000, 2000, 5000, 10_000, 20_000];
const FINAL = new Set(["malformed", "too_long", "file_refused", "closed", "identity_refused", "origin_refused"]);

/**
 * What the visitor has written and the thread does not show yet. Each line is repeated under its client_uuid until the
 * server has said 202, also after a reload; it goes when the thread brings it back.
 */
export class Outbox {
  #sending = false;
  #timer = 0;
  #tries = 0;

  constructor({ session, storage, changed }) {
    Object.assign(this, { session, storage, changed });
    this.lines = storage.get("outbox") ?? [];
    addEventListener("online", () => this.hurry());
  }

  add({ text, files, conversation, page }) {
    const line = {
      client_uuid: crypto.randomUUID?.() ?? fallbackUuid(), text, files, conversation, page,
      at: new Date().toISOString(), state: "sending",
    };
    this.lines.push(line);
    this.#keep();
    this.hurry();
    return line;
  }

  hurry() {
    clearTimeout(this.#timer);
    this.#tries = 0;
    this.#work();
  }

  again(uuid) {
    const line = this.lines.find(({ client_uuid }) => client_uuid === uuid);
    if (line) Object.assign(line, { state: "sending", reason: undefined });
    this.#keep();
    this.hurry();
  }

  discard(uuid) {
    this.lines = this.lines.filter(({ client_uuid }) => client_uuid !== uuid);
    this.#keep();
  }

  /** The thread shows it: the same line, now the server's. */
  settle(uuid) {
    if (!uuid) return false;
    const before = this.lines.length;
    this.lines = this.lines.filter(({ client_uuid }) => client_uuid.replaceAll("-", "") !== uuid);
    if (this.lines.length === before) return false;
    this.#keep();
    return true;
  }

  clear() {
    this.lines = [];
    this.#keep();
  }

  async #work() {
    if (this.#sending) return;
    this.#sending = true;
    try {
      let line;
      while ((line = this.lines.find(({ state }) => state === "sending"))) {
        await this.#send(line);
        this.#tries = 0;
      }
    } catch (error) {
      const wait = Math.max(error.retryAfter * 1000 || 0, AGAIN_MS[Math.min(this.#tries, AGAIN_MS.length - 1)]);
      this.#tries += 1;
      this.#timer = setTimeout(() => this.#work(), wait);
    } finally {
      this.#sending = false;
    }
  }

  async #send(line) {
    const { client_uuid, text, page, conversation } = line;
    try {
      await this.session.call("POST", "messages/", {
        client_uuid, text, uploads: line.files.map(({ upload }) => upload),
        ...(page ? { page } : {}), ...(conversation ? { conversation } : {}),
      });
      if (line.state === "sending") Object.assign(line, { state: "accepted", reason: undefined });
    } catch (error) {
      if (error.code === "malformed" && line.conversation) {
        line.conversation = undefined; // of a session that has ended: it begins a conversation of its own
      } else if (FINAL.has(error.code)) {
        Object.assign(line, { state: "failed", reason: error.code });
      } else {
        line.reason = error.code ?? "unavailable";
        throw error;
      }
    } finally {
      this.#keep();
    }
  }

  #keep() {
    this.storage.set("outbox", this.lines);
    this.changed();
  }
}

/** For pages without a secure context, where `crypto.randomUUID` is missing. */
function fallbackUuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
