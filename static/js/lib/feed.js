/**
 * What the server says by itself. One websocket; while it is away, the same frames by GET every few seconds. The newest applied event
 * and a fingerprint of the last minute tell whether anything was missed; applying an event twice changes nothing, and asks for nothing.
 */

const POLL_MS = 5000;
const FORGET_MS = 180_000;
const VIEW_MS = 15_000;
const RETRY_MS = 10_000; // at most, with full jitter: after a deploy not all of us come back in the same moment
const QUIET_MS = 17_000; // a heartbeat is late: what it would have told is asked for
const SILENT_MS = 40_000; // two heartbeats and a half: the socket is dead although it says that it is open
const FRESH_MS = 5000; // heard of the server so shortly ago that nothing can be missed
const LONGEST_MS = 10_000; // a request that the network has swallowed must not keep the next one waiting
export const SIGNED_OUT = 4401;

/** FNV-1a, 32 bit, over "1,2,3"; tickets/live.py computes the same. */
export function fingerprint(ids) {
  let value = 0x811c9dc5;
  for (const character of ids.join(",")) value = Math.imul(value ^ character.charCodeAt(0), 0x01000193) >>> 0;
  return value.toString(16).padStart(8, "0");
}

export class Feed {
  state = "connecting"; // connecting | live | away
  #socket = null;
  #timers = {};
  #applied = new Map(); // id -> {at (ms), ticket}
  #catching = null;
  #again = false;
  #heard = 0;
  #build = "";
  #view = { ticket: null, doing: "viewing" };
  #elsewise = null; // what says the view where no socket does
  #polls = 0;

  /** `on`: {event(event, isNew), gone, resync, whisper, state(state), polled, newBuild, signedOut}; `ticket()` gives the open one, `attendance()` lib/attendance.js. */
  constructor({ url, after, build = "", language, on, ticket, attendance }) {
    Object.assign(this, { url, after, language, on, ticket, attendance });
    this.#build = build;
  }

  start() {
    this.#connect();
    this.#timers.view = setInterval(() => this.#renew(), VIEW_MS);
    this.#timers.poll = setInterval(() => this.#poll(), POLL_MS);
    for (const name of ["online", "focus"]) addEventListener(name, () => this.#wake());
    addEventListener("offline", () => this.#gone());
    document.addEventListener("visibilitychange", () => { if (document.hidden) this.#say({ type: "view", ...this.#view, hidden: true }); else this.#wake(); });
    addEventListener("pagehide", () => { this.#elsewise?.withdraw(); this.#socket?.close(); });
  }

  #poll() {
    if (this.#hears(QUIET_MS)) return;
    this.catchUp();
    if (this.state === "live") return;
    if (!document.hidden) this.#attend();
    this.#polls += 1;
    if (this.#polls % 3 === 0) this.on.polled?.();
  }

  /** The machine has no network: the socket cannot know yet. */
  #gone() {
    this.#turn("away");
    this.#socket?.close();
  }

  /** What the view says to a socket, where there is none; who else is there comes back. */
  async #attend() {
    if (this.#socket?.readyState === WebSocket.OPEN) return;
    this.#elsewise ??= await this.attendance?.().catch(() => null);
    if (this.#socket?.readyState === WebSocket.OPEN) return; // it came meanwhile, and says it
    const there = await this.#elsewise?.attend(this.#view).catch(() => null);
    if (there && this.#view.ticket === there.ticket) this.on.whisper("presence", there);
  }

  /** Something was just done: where no socket tells of it, look soon. */
  nudge() {
    if (this.state !== "live") setTimeout(() => this.catchUp(), 150);
  }

  /** Tell who is where: `doing` is viewing, replying or noting. */
  view(ticket, doing = "viewing") {
    if (this.#view.ticket === ticket && this.#view.doing === doing) return;
    this.#view = { ticket, doing };
    this.#renew();
  }

  #renew() {
    if (this.#socket?.readyState === WebSocket.OPEN && Date.now() - this.#heard > SILENT_MS) this.#socket.close();
    else if (!document.hidden || this.#view.ticket === null) {
      this.#say({ type: "view", ...this.#view, hidden: document.hidden });
      if (this.state === "away") this.#attend();
    }
  }

  #say(frame) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame));
  }

  #connect() {
    clearTimeout(this.#timers.connect);
    const address = new URL(this.url, location.href);
    address.protocol = address.protocol.replace("http", "ws");
    address.searchParams.set("language", this.language);
    const socket = new WebSocket(address);
    this.#socket = socket;
    socket.addEventListener("open", () => {
      this.#heard = Date.now();
      this.#say({ type: "hello", after: this.after, ticket: this.ticket() });
      this.#elsewise?.withdraw(); // from here on the socket says it
      if (this.#view.ticket) this.#renew();
    });
    socket.addEventListener("message", (message) => this.#hear(JSON.parse(message.data)));
    socket.addEventListener("close", (event) => this.#lost(event.code));
  }

  #lost(code) {
    this.#socket = null;
    if (code === SIGNED_OUT) {
      this.on.signedOut();
      return;
    }
    this.#turn("away");
    this.#timers.connect = setTimeout(() => this.#connect(), Math.random() * RETRY_MS);
  }

  #turn(state) {
    if (this.state === state) return;
    this.state = state;
    this.on.state(state);
  }

  /** Open, focused, online, visible: ask at once for what was missed, over HTTP if the socket is not back yet. */
  #wake() {
    if (!this.#socket) this.#connect();
    else this.#renew();
    if (!this.#hears(FRESH_MS)) this.catchUp();
  }

  /** Whether the socket is there and has said something within so many milliseconds. */
  #hears(within) {
    return this.state === "live" && Date.now() - this.#heard < within;
  }

  #hear(frame) {
    this.#heard = Date.now();
    this.#compare(frame.build);
    switch (frame.type) {
      case "event": this.#apply(frame); break;
      case "caught_up": this.#applyAll(frame); this.#turn("live"); break;
      case "beat": this.#check(frame); break;
      case "whisper": this.on.whisper(frame.topic, frame.payload); break;
      case "gone": this.on.gone(frame.ticket); break;
      case "resync": this.on.resync(); break;
      default: break; // an error names a code of ours; the heartbeat repairs what it was about
    }
  }

  /** Scripts of another deploy than this page's: it goes on working, and its reader is told once. */
  #compare(build) {
    if (!build || build === this.#build) return;
    const isNew = this.#build !== "";
    this.#build = build;
    if (isNew) this.on.newBuild();
  }

  #apply(event) {
    const isNew = !this.#applied.has(event.id);
    this.#applied.set(event.id, { at: event.at, ticket: event.ticket });
    this.after = Math.max(this.after, event.id);
    this.on.event(event, isNew);
    const old = Date.now() - FORGET_MS;
    if (this.#applied.size > 2000) for (const [id, { at }] of this.#applied) if (at < old) this.#applied.delete(id);
    return isNew;
  }

  /** How many of a catch-up's events were new here. */
  #applyAll({ events, gone, resync, newest, build }) {
    this.#compare(build);
    if (resync) {
      this.after = newest;
      this.on.resync();
      return 0;
    }
    const fresh = events.filter((event) => this.#apply(event)).length;
    for (const ticket of gone) this.on.gone(ticket);
    this.after = Math.max(this.after, newest);
    return fresh;
  }

  #check({ since, newest, hash }) {
    const known = [...this.#applied].filter(([id, { at, ticket }]) => ticket && at >= since && (newest === null || id <= newest)).map(([id]) => id);
    known.sort((a, b) => a - b);
    if (fingerprint(newest === null ? [] : known) !== hash) this.catchUp();
  }

  /** Fetch what was missed. Calls that come meanwhile are one more afterwards. Resolves to how much was new. */
  catchUp() {
    if (this.#catching) {
      this.#again = true;
      return this.#catching;
    }
    const address = new URL(this.url, location.href);
    address.searchParams.set("after", this.after);
    if (this.ticket()) address.searchParams.set("ticket", this.ticket());
    this.#catching = fetch(address, { headers: { Accept: "application/json" }, redirect: "manual", signal: AbortSignal.timeout(LONGEST_MS) })
      .then(async (answer) => {
        if (answer.type === "opaqueredirect" || answer.status === 401) return this.on.signedOut();
        return answer.ok ? this.#applyAll(await answer.json()) : 0;
      })
      .catch(() => 0)
      .finally(() => {
        this.#catching = null;
        if (this.#again) {
          this.#again = false;
          this.catchUp();
        }
      });
    return this.#catching;
  }
}
