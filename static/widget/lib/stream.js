const FIRST_TRY_MS = 300;
const JITTER_MS = 10_000;
const POLL_MS = 4_000;
const SILENCE_MS = 40_000; // the server's heartbeat comes every 15 s
const BANNER_MS = 1_500;
const [ENDED, EXPIRED, CLOSED] = [4403, 4401, 4410];

/** Events from the server: by socket, else by polling the same words. Whatever was missed comes with the cursor. */
export class Stream {
  #socket = null;
  #cursor = "";
  #timers = {};
  #failures = 0;
  #running = false;
  #asking = null;

  /** `tell(events)` applies; `show("up" | "reconnecting" | "offline")`; `over()` when the session has ended. */
  constructor({ session, path, tell, show, over }) {
    Object.assign(this, { session, path, tell, show, over });
    for (const what of ["online", "focus"]) addEventListener(what, () => this.hurry());
    addEventListener("offline", () => this.#down());
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.hurry(); });
  }

  get isUp() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  start() {
    if (this.#running) return;
    this.#running = true;
    this.#connect();
  }

  /** Forget everything and begin again: another person, or too far behind. */
  restart() {
    this.stop();
    this.#cursor = "";
    this.start();
  }

  stop() {
    this.#running = false;
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  send(frame) {
    if (this.isUp) this.#socket.send(JSON.stringify(frame));
    return this.isUp;
  }

  /** Ask at once for what was missed. */
  hurry() {
    if (!this.#running || this.isUp) return;
    this.#catchUp();
    if (!this.#socket) this.#connect();
  }

  async #connect() {
    clearTimeout(this.#timers.retry);
    let token;
    try {
      token = await this.session.token();
    } catch {
      this.#down();
      return;
    }
    if (!this.#running || this.#socket) return;
    const socket = new WebSocket(location.origin.replace("http", "ws") + this.path);
    this.#socket = socket;
    socket.addEventListener("open", () => socket.send(JSON.stringify({ type: "hello", token, after: this.#cursor })));
    socket.addEventListener("message", ({ data }) => { if (socket === this.#socket) this.#heard(JSON.parse(data)); });
    socket.addEventListener("close", ({ code }) => { if (socket === this.#socket) this.#closed(code); });
  }

  #heard({ events, cursor, error }) {
    if (error) return;
    this.#listen();
    this.#failures = 0;
    clearTimeout(this.#timers.poll);
    clearTimeout(this.#timers.banner);
    this.show("up");
    this.#take(events, cursor);
  }

  #take(events, cursor) {
    if (events.some((event) => event.type === "resync")) {
      this.restart();
      return;
    }
    if (cursor) this.#cursor = cursor;
    this.tell(events);
  }

  #listen() {
    clearTimeout(this.#timers.silence);
    this.#timers.silence = setTimeout(() => this.#socket?.close(), SILENCE_MS);
  }

  #closed(code) {
    this.#socket = null;
    clearTimeout(this.#timers.silence);
    if (code === ENDED) {
      this.over();
    } else if (code === CLOSED) {
      this.stop();
    } else {
      if (code === EXPIRED) this.session.storage.set("session", { ...this.session.storage.get("session"), until: 0 });
      this.#down();
    }
  }

  #down() {
    if (!this.#running) return;
    clearTimeout(this.#timers.banner);
    this.#timers.banner = setTimeout(() => this.show(navigator.onLine ? "reconnecting" : "offline"), BANNER_MS);
    const wait = this.#failures ? Math.random() * Math.min(JITTER_MS, 1000 * 2 ** this.#failures) : FIRST_TRY_MS * Math.random();
    this.#failures += 1;
    clearTimeout(this.#timers.retry);
    this.#timers.retry = setTimeout(() => this.#connect(), wait);
    clearTimeout(this.#timers.poll);
    this.#timers.poll = setTimeout(() => this.#poll(), POLL_MS);
  }

  async #poll() {
    if (!this.#running || this.isUp) return;
    await this.#catchUp();
    clearTimeout(this.#timers.poll);
    if (!this.isUp) this.#timers.poll = setTimeout(() => this.#poll(), POLL_MS);
  }

  #catchUp() {
    this.#asking ??= this.session.call("GET", `events/${this.#cursor ? `?after=${encodeURIComponent(this.#cursor)}` : ""}`)
      .then(({ events, cursor }) => {
        if (!this.#running) return;
        clearTimeout(this.#timers.banner);
        this.show("up");
        this.#take(events, cursor);
      })
      .catch(() => { /* the next try tells */ })
      .finally(() => { this.#asking = null; });
    return this.#asking;
  }
}
