import { EnterSends } from "../js/lib/composition.js";
import { Host } from "./lib/host.js";
import { Outbox } from "./lib/outbox.js";
import { CallError, Session, endOf } from "./lib/session.js";
import { Storage } from "./lib/storage.js";
import { Store } from "./lib/store.js";
import { Stream } from "./lib/stream.js";
import { Thread, clone, fill, initial } from "./lib/thread.js";
import { Words } from "./lib/words.js";

const TYPING_EVERY_MS = 3_000;
const TYPING_ENDS_MS = 6_000;
const SAY_READ_MS = 250;

/** The panel: home and thread, wired to the session, the stream and the page around it. */
class Panel {
  constructor(config) {
    this.config = config;
    this.boot = config.boot;
    this.words = new Words(config.texts, config.language);
    this.storage = new Storage(config.slug);
    this.store = new Store();
    this.open = !config.embedded;
    this.view = "home";
    this.key = null; // the conversation on screen; null is a new one
    this.page = "";
    this.files = []; // uploads waiting in the composer
    this.timers = {};
    this.session = new Session({
      base: config.base, language: config.language, storage: this.storage, ended: () => this.#sessionEnded(),
    });
    this.outbox = new Outbox({ session: this.session, storage: this.storage, changed: () => this.render() });
    this.stream = new Stream({
      session: this.session, path: this.boot.socket,
      tell: (events) => this.#told(events), show: (state) => this.#banner(state), over: () => this.#over(),
    });
    this.thread = new Thread({
      list: at("lines"), log: at("log"), words: this.words, store: this.store, outbox: this.outbox,
      actions: {
        again: (uuid) => this.outbox.again(uuid),
        discard: (uuid) => this.outbox.discard(uuid),
        rate: (survey, score, comment) => this.#rate(survey, score, comment),
        help: () => at("text").focus(),
      },
    });
    this.host = config.embedded && config.host ? new Host(config.host, (message) => this.#hosted(message)) : null;
  }

  async start() {
    this.#look();
    this.#listen();
    at("text").value = this.storage.get("draft") ?? "";
    this.#grow();
    this.render();
    if (this.host) {
      this.host.tell("ready");
      this.host.tell("identity");
      this.timers.identity = setTimeout(() => this.#identified(null), 1500); // a page that does not answer has nobody
    } else {
      await this.#identified(null);
    }
  }

  // -- The page around us --------------------------------------------------------------------------------------------

  #hosted({ type, token, page }) {
    if (typeof page === "string") this.page = page.slice(0, 500);
    if (type === "open") {
      this.open = true;
      this.render();
      (this.view === "thread" ? at("text") : at("start")).focus();
    } else if (type === "close") {
      this.open = false;
    } else if (type === "identity") {
      clearTimeout(this.timers.identity);
      this.#identified(typeof token === "string" && token ? token : null);
    }
  }

  /** Who is signed in on the page: the session follows, before anything is shown. */
  async #identified(jwt) {
    clearTimeout(this.timers.fresh);
    const before = this.storage.get("session")?.subject;
    let changed = false;
    try {
      changed = jwt ? await this.session.identify(jwt) : await this.session.anonymous();
    } catch (error) {
      if (error.code === "identity_refused") changed = await this.session.anonymous();
      else if (jwt) this.timers.fresh = setTimeout(() => this.host?.tell("identity"), 10_000);
    }
    if (jwt) this.timers.fresh = setTimeout(() => this.host?.tell("identity"), Math.max(30_000, endOf(jwt) - Date.now() - 120_000));
    const after = this.storage.get("session")?.subject;
    if (before !== undefined && before !== after) this.#forget();
    if (!this.session.exists) {
      this.#told([]);
    } else if (changed) {
      this.store.clear();
      this.key = null;
      this.stream.restart();
    } else {
      this.stream.start();
    }
    this.outbox.hurry();
  }

  /** Another person may sit here now: nothing of the former one stays. */
  #forget() {
    this.stream.stop();
    this.store.clear();
    this.outbox.clear();
    this.storage.remove("draft");
    this.storage.remove("contact");
    at("text").value = "";
    this.key = null;
    this.#go("home");
  }

  #sessionEnded() {
    this.stream.stop();
    this.store.clear();
    this.key = null;
    queueMicrotask(() => this.render());
  }

  #over() {
    const wasSigned = this.session.isSigned;
    this.storage.remove("session");
    this.#sessionEnded();
    if (wasSigned) this.host?.tell("identity");
  }

  // -- Events --------------------------------------------------------------------------------------------------------

  #told(events) {
    let arrived = 0;
    for (const event of events) {
      if (event.type === "typing") this.#theyType(event);
      for (const line of this.store.apply(event)) {
        if (line.from !== "visitor") arrived += 1;
        if (this.outbox.settle(line.client_uuid) && this.view === "thread" && this.key !== line.conversation) {
          this.key = line.conversation;
        }
        if (line.from !== "visitor" && line.conversation === this.key) this.#stopTheirTyping();
      }
    }
    const atEnd = this.render();
    if (arrived && this.view === "thread" && !atEnd) at("newer").hidden = false;
    this.host?.tell("session", { on: this.session.exists });
  }

  #banner(state) {
    const banner = at("banner");
    banner.hidden = state === "up";
    banner.textContent = state === "up" ? "" : this.words.get(state);
    if (state === "up") this.outbox.hurry();
  }

  #theyType({ ticket, on }) {
    const line = this.store.lines(this.key).find((one) => one.ticket === ticket);
    if (!line) return;
    clearTimeout(this.timers.theirs);
    if (!on) {
      this.#stopTheirTyping();
      return;
    }
    const name = this.store.of(this.key).agent;
    fill(at("typing"), { ".typing-name": name ? this.words.get("typing", { name }) : this.words.get("someone_typing") });
    const atEnd = this.thread.isAtEnd();
    at("typing").hidden = false;
    if (atEnd) this.thread.toEnd();
    this.timers.theirs = setTimeout(() => this.#stopTheirTyping(), TYPING_ENDS_MS);
  }

  #stopTheirTyping() {
    clearTimeout(this.timers.theirs);
    at("typing").hidden = true;
  }

  /** Say what has arrived and what has been seen: watermarks by ticket. */
  #acknowledge() {
    clearTimeout(this.timers.receipts);
    this.timers.receipts = setTimeout(() => {
      const looking = this.open && this.view === "thread" && !document.hidden && document.hasFocus();
      const newest = new Map(this.store.unread().sort((a, b) => a.seq - b.seq).map((line) => [line.ticket, line]));
      for (const line of newest.values()) {
        const read = looking && line.conversation === this.key;
        if (read || line.state === "sent") this.#receipt(line, read ? "read" : "delivered");
      }
    }, SAY_READ_MS);
  }

  #receipt({ ticket, seq }, said) {
    this.store.mark(ticket, seq, said);
    this.session.call("POST", `${said}/`, { ticket, seq }).catch(() => { /* the next opening says it again */ });
    this.render();
  }

  // -- Screens -------------------------------------------------------------------------------------------------------

  /** Returns whether the thread stood at its end. */
  render() {
    const unread = this.store.unread();
    this.host?.tell("unread", { count: unread.length });
    this.#home();
    for (const name of ["home", "thread"]) at(name).hidden = this.view !== name;
    if (this.view !== "thread") {
      this.#acknowledge();
      return true;
    }
    this.#head();
    this.#place();
    const atEnd = this.thread.show(this.key, this.#contact());
    at("empty").hidden = at("lines").childElementCount > 0;
    if (atEnd) at("newer").hidden = true;
    const shown = this.key ? this.store.lines(this.key).length : 0;
    at("earlier").hidden = shown < 50 || this.nothingEarlier === this.key;
    this.#acknowledge();
    return atEnd;
  }

  #home() {
    const recent = this.store.recent();
    const going = recent.find(({ open }) => open);
    fill(at("start"), { ".start-title": this.words.get(going || this.outbox.lines.length ? "go_on" : "start") });
    at("start").dataset.key = going?.key ?? "";
    at("recent").hidden = !recent.length;
    at("conversations").replaceChildren(...recent.slice(0, 5).map((conversation) => this.#row(conversation)));
  }

  #row(conversation) {
    const last = this.store.lines(conversation.key).at(-1);
    const row = clone("t-conversation");
    const name = conversation.agent || this.words.get("team");
    const unread = this.store.unread(conversation.key).length;
    fill(row, {
      ".avatar": initial(name), ".name": name, ".when": this.words.short(last.at), ".badge": unread || "",
      ".snippet": `${last.from === "visitor" ? `${this.words.get("you")}: ` : ""}${last.text || last.files.map((file) => file.name).join(", ")}`,
      ".status": conversation.open ? "" : this.words.get("solved"),
    });
    if (unread) row.querySelector(".badge").setAttribute("aria-label", this.words.get("unread", { n: unread }));
    row.querySelector("button").addEventListener("click", () => this.#enter(conversation.key));
    return row;
  }

  #head() {
    const conversation = this.key ? this.store.of(this.key) : null;
    const agent = conversation?.agent;
    fill(at("head"), {
      ".avatar": initial(agent || this.words.get("team")), ".name": agent || this.words.get("team"), ".sub": agent && this.boot.open ? this.words.get("team") : this.#status(),
    });
  }

  /** Where they stand in the line while nobody has their conversation yet. */
  #place() {
    const place = this.key ? this.store.of(this.key).place : null;
    const words = place ? this.#placed(place) : "";
    if (at("place").textContent !== words) at("place").textContent = words;
    at("place").hidden = !words;
  }

  #placed({ position, within, closed, opens_at: opensAt }) {
    if (closed && opensAt) return this.words.get("place_closed", { when: this.words.when(opensAt) });
    if (closed || !position) return this.words.get("place_away");
    const where = position === 1 ? this.words.get("place_next") : this.words.get("place", { n: position });
    return within ? `${where} ${this.words.get("place_within", { wait: this.words.wait(within) })}` : where;
  }

  #status() {
    const { open, online, opens_at: opensAt, wait } = this.boot;
    if (!open) return opensAt ? this.words.get("closed", { when: this.words.when(opensAt) }) : this.words.get("away");
    if (!online) return this.words.get("away");
    return wait ? this.words.get("wait", { wait: this.words.wait(wait) }) : this.words.get("here");
  }

  /** A card at the end of the thread that asks for an address; every field may stay empty, and it may be put away. */
  #contact() {
    const state = this.storage.get("contact");
    const asked = this.boot.ask_email && !this.store.signed && !this.store.emailKnown && this.session.exists;
    const wrote = this.outbox.lines.some(({ state: s }) => s === "accepted") || this.store.lines(this.key).some(({ from }) => from === "visitor");
    if (state === "thanks") return [{ key: "contact:thanks", make: () => fill(clone("t-note"), { ".note": this.words.get("contact_thanks") }) }];
    if (!asked || !wrote || state === "skipped") return [];
    return [{ key: "contact", make: () => this.#contactCard() }];
  }

  #contactCard() {
    const form = clone("t-contact");
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const values = Object.fromEntries([...new FormData(form)].filter(([, value]) => value.trim()));
      if (Object.keys(values).length) {
        try {
          await this.session.call("POST", "forms/", { client_uuid: crypto.randomUUID(), form: "contact", values });
        } catch {
          form.querySelector(".problem").hidden = false;
          return;
        }
      }
      this.storage.set("contact", Object.keys(values).length ? "thanks" : "skipped");
      this.render();
      at("text").focus();
    });
    form.querySelector(".skip").addEventListener("click", () => {
      this.storage.set("contact", "skipped");
      this.render();
      at("text").focus();
    });
    return form;
  }

  #go(view) {
    this.view = view;
    document.body.dataset.view = view;
    this.render();
  }

  #enter(key) {
    this.key = key || null;
    at("newer").hidden = true;
    this.#stopTheirTyping();
    this.#go("thread");
    this.#grow();
    this.thread.toEnd();
    at("text").focus();
  }

  async #earlier() {
    const first = this.store.lines(this.key)[0];
    const query = new URLSearchParams({ conversation: this.key, before: first.at });
    try {
      const { events } = await this.session.call("GET", `messages/?${query}`);
      if (!events.length) this.nothingEarlier = this.key;
      const height = at("log").scrollHeight;
      this.#told(events);
      at("log").scrollTop += at("log").scrollHeight - height;
    } catch { /* the button stays */ }
  }

  // -- Writing -------------------------------------------------------------------------------------------------------

  #send() {
    const field = at("text");
    const text = field.value.trim();
    if (this.files.some((file) => file.busy) || (!text && !this.files.some((file) => file.upload))) return;
    if (text.length > this.boot.limits.text) {
      this.#problem(this.words.get("too_long"));
      return;
    }
    this.outbox.add({
      text, files: this.files.filter((file) => file.upload).map(({ busy: _busy, local: _local, ...file }) => file),
      conversation: this.key ?? undefined, page: this.page,
    });
    field.value = "";
    this.files = [];
    this.storage.remove("draft");
    this.#tray();
    this.#grow();
    this.#typed(false);
    this.thread.toEnd();
    if (this.session.exists) this.stream.start();
    else this.session.token().then(() => this.stream.start(), () => { /* the outbox tries again and tells */ });
  }

  #typed(on) {
    const now = Date.now();
    clearTimeout(this.timers.mine);
    if (on) this.timers.mine = setTimeout(() => this.#typed(false), TYPING_ENDS_MS);
    if (!this.key || (on && now - (this.typedAt ?? 0) < TYPING_EVERY_MS) || (!on && !this.typedAt)) return;
    this.typedAt = on ? now : 0;
    this.stream.send({ type: "typing", conversation: this.key, on });
  }

  async #attach(files) {
    const { file: most, files: count } = this.boot.limits;
    for (const file of files) {
      if (this.files.length >= count) {
        this.#problem(this.words.get("too_many_files", { n: count }));
        return;
      }
      if (file.size > most) {
        this.#problem(this.words.get("file_too_big", { size: this.words.size(most) }));
        continue;
      }
      this.#upload(file);
    }
  }

  async #upload(file) {
    const waiting = { name: file.name, size: file.size, busy: true };
    this.files.push(waiting);
    this.#tray();
    const form = new FormData();
    form.append("file", file, file.name);
    try {
      Object.assign(waiting, await this.session.call("POST", "uploads/", form), { busy: false });
    } catch (error) {
      this.files = this.files.filter((one) => one !== waiting);
      this.#problem(this.words.get(error instanceof CallError && error.code === "rate_limited" ? "rate_limited" : "file_failed"));
    }
    this.#tray();
  }

  #tray() {
    at("tray").hidden = !this.files.length;
    at("tray").replaceChildren(...this.files.map((file) => {
      const chip = fill(clone("t-chip"), { ".file-name": file.name, ".file-size": this.words.size(file.size) });
      chip.classList.toggle("busy", file.busy);
      const remove = chip.querySelector("button");
      remove.setAttribute("aria-label", this.words.get("remove_file", { name: file.name }));
      remove.addEventListener("click", () => {
        this.files = this.files.filter((one) => one !== file);
        this.#tray();
        at("text").focus();
      });
      return chip;
    }));
    this.#ready();
  }

  #problem(text) {
    const problem = at("problem");
    problem.textContent = text;
    problem.hidden = false;
    clearTimeout(this.timers.problem);
    this.timers.problem = setTimeout(() => { problem.hidden = true; }, 8_000);
  }

  #ready() {
    at("send").disabled = !at("text").value.trim() && !this.files.some((file) => file.upload);
  }

  #grow() {
    const field = at("text");
    field.style.height = "";
    if (field.value && field.scrollHeight) field.style.height = `${Math.min(field.scrollHeight, 140)}px`;
    this.#ready();
  }

  async #rate(survey, score, comment) {
    if (!score) return;
    try {
      await this.session.call("POST", "ratings/", { client_uuid: crypto.randomUUID(), survey, score, comment });
      const line = [...this.store.conversations.values()].find(({ lines }) => [...lines.values()].some((one) => one.survey === survey));
      if (line) line.score = score;
      this.render();
    } catch {
      this.#problem(this.words.get("refused"));
    }
  }

  // -- Wiring --------------------------------------------------------------------------------------------------------

  #look() {
    const { accent, greeting } = this.boot;
    if (accent) {
      document.documentElement.dataset.brand = "";
      document.documentElement.style.setProperty("--brand", accent);
      document.documentElement.style.setProperty("--on-brand", isLight(accent) ? "#17191D" : "#FFFFFF");
    }
    fill(at("home"), { ".greeting": greeting[this.config.language] || this.words.get("greeting"), ".status-line": this.#status() });
    fill(at("start"), { ".start-sub": this.boot.online && this.boot.wait ? this.words.get("wait", { wait: this.words.wait(this.boot.wait) }) : "" });
    at("home").querySelector(".presence").classList.toggle("on", this.boot.online);
    for (const button of document.querySelectorAll(".close")) button.hidden = !this.host;
    document.body.dataset.view = this.view;
  }

  #listen() {
    const field = at("text");
    new EnterSends(field, { send: () => this.#send() });
    field.addEventListener("input", () => {
      this.storage.set("draft", field.value);
      this.#grow();
      this.#typed(Boolean(field.value));
    });
    field.addEventListener("paste", (event) => {
      if (event.clipboardData.files.length) {
        event.preventDefault();
        this.#attach(event.clipboardData.files);
      }
    });
    at("composer").addEventListener("submit", (event) => { event.preventDefault(); this.#send(); });
    at("file").addEventListener("change", (event) => { this.#attach(event.target.files); event.target.value = ""; });
    at("start").addEventListener("click", () => this.#enter(at("start").dataset.key));
    at("back").addEventListener("click", () => { this.#go("home"); at("start").focus(); });
    at("earlier").addEventListener("click", () => this.#earlier());
    at("newer").addEventListener("click", () => { this.thread.toEnd(); at("newer").hidden = true; });
    at("log").addEventListener("scroll", () => { if (this.thread.isAtEnd()) at("newer").hidden = true; });
    for (const button of document.querySelectorAll(".close")) button.addEventListener("click", () => this.#close());
    document.addEventListener("keydown", (event) => { if (event.key === "Escape" && !event.isComposing) this.#close(); });
    document.addEventListener("dragover", (event) => event.preventDefault());
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      if (this.view === "thread" && event.dataTransfer.files.length) this.#attach(event.dataTransfer.files);
    });
    addEventListener("focus", () => this.#acknowledge());
    document.addEventListener("visibilitychange", () => this.#acknowledge());
    this.storage.onChange((name) => {
      if (name === "outbox") this.outbox.lines = this.storage.get("outbox") ?? [];
      if (name === "session" && this.session.exists) this.stream.start();
      if (name === "session" && !this.session.exists) this.#sessionEnded();
      this.render();
    });
  }

  #close() {
    if (!this.host) return;
    this.open = false;
    this.host.tell("close");
  }
}

function at(id) {
  return document.getElementById(id);
}

function isLight(hex) {
  const [r, g, b] = [1, 3, 5].map((i) => {
    const c = parseInt(hex.slice(i, i + 2), 16) / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.36;
}

new Panel(JSON.parse(at("config").textContent)).start();
