/** The simulator's phone: shows what the providers took, and writes as the person who holds it. */

import { EnterSends } from "../js/lib/composition.js";

const NEWS_MS = 1000;
const config = JSON.parse(document.getElementById("simulator-config").textContent);
const time = new Intl.DateTimeFormat(document.documentElement.lang, { hour: "numeric", minute: "2-digit" });

class PhoneSimulator extends HTMLElement {
  #apps = {};
  #tab = "";
  #timer = 0;
  #troubled = 0;
  #seen = new Map(); // kind -> id of the newest message that was in sight

  connectedCallback() {
    for (const element of this.querySelectorAll("[data-app]")) {
      const kind = element.dataset.app;
      const tell = { changed: () => this.#ask(), token: csrf() };
      this.#apps[kind] = kind === "webchat" ? new ChatApp(element, kind, tell) : new TextApp(element, kind, tell, this);
      this.#seen.set(kind, Number(stored(`${config.person.key}:${kind}`)) || 0);
    }
    for (const button of this.querySelectorAll("[data-tab][role=tab]")) button.addEventListener("click", () => this.#show(button.dataset.tab));
    this.querySelector("[role=tablist]").addEventListener("keydown", (event) => this.#walk(event));
    this.querySelector("[data-show-people]").addEventListener("click", (event) => { event.preventDefault(); this.toggleAttribute("data-people"); });
    this.querySelector("[data-troubles]").addEventListener("change", (event) => this.#trouble(event.target.value));
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.#ask(); });
    this.#clock();
    if (this.dataset.tab) this.#show(this.dataset.tab);
    this.#ask();
  }

  disconnectedCallback() { clearTimeout(this.#timer); }

  #show(kind) {
    this.#tab = kind;
    for (const [name, app] of Object.entries(this.#apps)) app.element.hidden = name !== kind;
    for (const button of this.querySelectorAll("[role=tab]")) {
      const on = button.dataset.tab === kind;
      button.setAttribute("aria-selected", on);
      button.tabIndex = on ? 0 : -1;
    }
    for (const link of this.querySelectorAll("[data-person-link]")) {
      const url = new URL(link.href);
      url.searchParams.set("tab", kind);
      link.href = url;
    }
    const url = new URL(location);
    url.searchParams.set("tab", kind);
    url.searchParams.set("person", config.person.key);
    history.replaceState(null, "", url);
    this.querySelector("[data-troubles]").disabled = kind === "webchat";
    this.#apps[kind].opened();
    this.#ask();
  }

  #walk(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const kinds = Object.keys(this.#apps);
    const next = kinds[(kinds.indexOf(this.#tab) + step + kinds.length) % kinds.length];
    this.#show(next);
    this.querySelector(`[role=tab][data-tab="${next}"]`).focus();
  }

  /** Asks for news, and again a second later; a hidden page does not ask. */
  async #ask() {
    clearTimeout(this.#timer);
    if (document.hidden) return;
    const asked = performance.now();
    try {
      const answer = await fetch(`${config.urls.feed}?person=${encodeURIComponent(config.person.key)}`);
      if (answer.ok) this.#take((await answer.json()).conversations, asked);
    } catch { /* away for a moment: the next question comes anyway */ }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ask(), NEWS_MS);
  }

  #take(conversations, asked) {
    for (const [kind, { messages, trouble }] of Object.entries(conversations)) {
      const app = this.#apps[kind];
      if (!app) continue;
      app.draw(messages);
      const inSight = kind === this.#tab && !document.hidden;
      const newest = Math.max(0, ...messages.map((message) => message.id));
      const unread = messages.filter((message) => !message.ours && message.id > this.#seen.get(kind)).length;
      if (inSight) {
        if (unread || messages.some((message) => !message.ours && message.states.includes("delivered") && !message.states.includes("read"))) app.read();
        this.#seen.set(kind, newest);
        store(`${config.person.key}:${kind}`, newest);
        const chosen = this.querySelector(`[data-troubles] [value="${CSS.escape(trouble)}"]`);
        if (chosen && !chosen.checked && asked > this.#troubled) chosen.checked = true;
      }
      const badge = this.querySelector(`[role=tab][data-tab="${kind}"] [data-badge]`);
      badge.hidden = inSight || !unread;
      badge.textContent = unread > 9 ? "9+" : unread;
    }
  }

  /** An answer that was asked for before the choice was known does not take it back. */
  async #trouble(mode) {
    const app = this.#apps[this.#tab];
    this.#troubled = Infinity;
    await post(config.urls.trouble, { channel: app.channel.slug, mode }).finally(() => { this.#troubled = performance.now(); });
  }

  #clock() {
    this.querySelector("[data-clock]").textContent = time.format(new Date());
    setTimeout(() => this.#clock(), 10_000);
  }
}

/** What all apps have: a head with the brand, and a choice where several channels of the kind exist. */
class App {
  constructor(element, kind) {
    this.element = element;
    this.kind = kind;
    this.channels = config.channels[kind];
    this.channel = this.channels[0];
    const select = element.querySelector("[data-channels]");
    for (const { slug, name } of this.channels) select.add(new Option(name, slug));
    element.querySelector("[data-choice]").hidden = this.channels.length < 2;
    select.addEventListener("change", () => {
      this.channel = this.channels.find(({ slug }) => slug === select.value);
      this.head();
      this.switched();
    });
    this.head();
  }

  head() {
    this.element.querySelector("[data-brand]").textContent = this.channel.brand;
    this.element.querySelector("[data-address]").textContent = this.channel.address;
  }

  switched() {}
  opened() {}
  draw() {}
  read() {}
}

class TextApp extends App {
  #rows = new Map(); // id -> { element, version }
  #files = [];
  #answers = "";
  #sending = false;

  constructor(element, kind, tell, home) {
    super(element, kind);
    this.tell = tell;
    this.thread = element.querySelector("[data-thread]");
    this.form = element.querySelector("[data-compose]");
    this.field = this.form.elements.text;
    this.subject = this.form.elements.subject ?? null;
    this.templates = {
      row: home.querySelector(kind === "email" ? "template[data-mail]" : "template[data-bubble]"),
      file: home.querySelector("template[data-file]"),
      image: home.querySelector("template[data-image]"),
    };
    this.form.addEventListener("submit", (event) => { event.preventDefault(); this.#send(); });
    this.field.addEventListener("input", () => this.#grow());
    new EnterSends(this.field, { send: () => this.#send(), plain: () => kind !== "email" });
    const pick = this.form.querySelector("[data-pick]");
    pick.addEventListener("change", () => { this.#attach(pick.files); pick.value = ""; });
    this.field.addEventListener("paste", (event) => { if (event.clipboardData.files.length) { event.preventDefault(); this.#attach(event.clipboardData.files); } });
    element.querySelector("[data-new-mail]")?.addEventListener("click", () => { this.#answer(null); this.subject.focus(); });
    element.querySelector("[data-not-answering]")?.addEventListener("click", () => { this.#answer(null); this.subject.focus(); });
  }

  opened() {
    this.thread.scrollTop = this.thread.scrollHeight;
    if (matchMedia("(width >= 900px)").matches) this.field.focus({ preventScroll: true });
  }

  draw(messages) {
    const atEnd = this.thread.scrollHeight - this.thread.scrollTop - this.thread.clientHeight < 60;
    let added = false;
    for (const message of messages) {
      const version = message.states.join();
      const known = this.#rows.get(message.id);
      if (known?.version === version) continue;
      if (known) this.#state(known.element, message);
      else {
        this.thread.append(this.#row(message));
        added = true;
      }
      this.#rows.set(message.id, { element: known?.element ?? this.thread.lastElementChild, version });
    }
    this.element.querySelector("[data-empty]").hidden = this.#rows.size > 0;
    if (added && atEnd) this.thread.scrollTop = this.thread.scrollHeight;
  }

  read() { post(config.urls.reading, { channel: this.channel.slug }); }

  #row(message) {
    const row = this.templates.row.content.firstElementChild.cloneNode(true);
    row.classList.toggle("is-ours", message.ours);
    const stamp = row.querySelector("time");
    stamp.dateTime = message.at;
    stamp.textContent = time.format(new Date(message.at));
    const text = row.querySelector(".bub__text, .letter__text");
    text.textContent = message.text;
    text.hidden = !message.text;
    const files = row.querySelector(".bub__files");
    files.append(...message.files.map((file) => this.#file(file)));
    files.hidden = !message.files.length;
    if (this.kind === "email") this.#letter(row, message);
    this.#state(row, message);
    return row;
  }

  #letter(row, message) {
    const from = message.ours ? config.person.name : message.from.replace(/<.*>/, "").replaceAll('"', "").trim() || this.channel.brand;
    row.querySelector(".sim-face").textContent = [...from][0] ?? "";
    row.querySelector(".letter__from").textContent = from;
    row.querySelector(".letter__subject").textContent = message.subject || config.words.noSubject;
    const reply = row.querySelector("[data-reply]");
    reply.hidden = message.ours;
    reply.addEventListener("click", () => { this.#answer(message); this.field.focus(); });
  }

  #state(row, message) {
    row.querySelector(".bub__state").textContent = !message.ours ? "" : message.states.includes("delivered") ? config.words.delivered : config.words.waiting;
  }

  #file({ name, type, url }) {
    const isImage = url && (type.startsWith("image/") || (!type && this.kind === "sms"));
    const item = (isImage ? this.templates.image : this.templates.file).content.firstElementChild.cloneNode(true);
    const link = item.querySelector("a");
    if (url) link.href = url;
    if (!isImage) {
      item.querySelector("span").textContent = name || config.words.file;
      return item;
    }
    const image = item.querySelector("img");
    image.alt = name;
    image.addEventListener("error", () => item.replaceWith(this.#file({ name, type: "other", url })), { once: true });
    image.src = url;
    return item;
  }

  #answer(message) {
    this.#answers = message?.key ?? "";
    this.element.querySelector("[data-answering]").hidden = !message;
    this.element.querySelector("[data-answering-to]").textContent = message ? `↩ ${message.subject}` : "";
    this.subject.hidden = Boolean(message);
  }

  #attach(files) {
    this.#files.push(...files);
    this.#chips();
  }

  #chips() {
    const list = this.form.querySelector("[data-files]");
    list.hidden = !this.#files.length;
    list.replaceChildren(...this.#files.map((file, at) => {
      const item = document.createElement("li");
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = `${file.name} ×`;
      button.addEventListener("click", () => { this.#files.splice(at, 1); this.#chips(); });
      item.append(button);
      return item;
    }));
  }

  #grow() {
    this.field.style.setProperty("height", "auto");
    this.field.style.setProperty("height", `${Math.min(this.field.scrollHeight, 140)}px`);
  }

  async #send() {
    if (this.#sending || (!this.field.value.trim() && !this.#files.length)) return;
    this.#sending = true;
    const given = { text: this.field.value, files: [...this.#files] };
    const problem = this.form.querySelector("[data-error]");
    problem.hidden = true;
    this.field.value = "";
    this.#files = [];
    this.#chips();
    this.#grow();
    try {
      await post(config.urls.messages, {
        channel: this.channel.slug, ...given, answers: this.#answers, subject: this.subject?.value ?? "",
      });
      if (this.subject) { this.subject.value = ""; this.#answer(null); }
      this.thread.scrollTop = this.thread.scrollHeight;
    } catch (error) {
      problem.textContent = error.message || config.words.failed;
      problem.hidden = false;
      this.field.value ||= given.text;
      if (!this.#files.length) { this.#files = given.files; this.#chips(); }
    } finally {
      this.#sending = false;
      this.tell.changed();
    }
  }
}

/** The web chat is the widget's own panel in a frame; we are the page around it, as a shop would be. */
class ChatApp extends App {
  #frame = null;

  constructor(element, kind) {
    super(element, kind);
    this.signed = element.querySelector("[data-signed]");
    this.signed.addEventListener("change", () => this.switched());
    addEventListener("message", (event) => this.#heard(event));
  }

  opened() {
    if (this.#frame) return;
    this.#frame = document.createElement("iframe");
    this.#frame.title = this.channel.name;
    const theme = getComputedStyle(this.element).getPropertyValue("--sim-theme").trim();
    const query = new URLSearchParams({ origin: location.origin, lang: document.documentElement.lang, theme });
    this.#frame.src = `/chat/${this.channel.slug}/panel/?${query}`;
    this.element.querySelector("[data-frame]").replaceChildren(this.#frame);
  }

  switched() {
    this.#frame = null;
    this.opened();
  }

  async #heard({ origin, source, data }) {
    if (!this.#frame || origin !== location.origin || source !== this.#frame.contentWindow || data?.helpdesk !== 1) return;
    if (data.type === "ready") this.#say("open", { page: "https://shop.example/" });
    if (data.type === "identity") this.#say("identity", { token: this.signed.checked ? await this.#token() : null });
  }

  #say(type, more) { this.#frame.contentWindow.postMessage({ helpdesk: 1, type, ...more }, location.origin); }

  async #token() {
    const query = new URLSearchParams({ person: config.person.key, channel: this.channel.slug });
    try {
      return (await (await fetch(`${config.urls.identity}?${query}`)).json()).token;
    } catch {
      return null; // anonymous then
    }
  }
}

/** Posts fields as this person; files are lists. Throws an Error with the server's sentence. */
async function post(url, fields) {
  const body = new FormData();
  body.append("person", config.person.key);
  for (const [name, value] of Object.entries(fields)) {
    if (Array.isArray(value)) value.forEach((file) => body.append(name, file, file.name));
    else body.append(name, value);
  }
  const answer = await fetch(url, { method: "POST", body, headers: { "X-CSRFToken": csrf() } });
  if (!answer.ok) {
    const told = answer.headers.get("Content-Type")?.includes("json") ? (await answer.json()).error : "";
    throw new Error(told || config.words.failed);
  }
  return answer.json();
}

function csrf() { return document.querySelector("[name=csrfmiddlewaretoken]").value; }

function stored(name) {
  try { return localStorage.getItem(`simulator:${name}`); } catch { return null; }
}

function store(name, value) {
  try { localStorage.setItem(`simulator:${name}`, value); } catch { /* no storage: badges start anew */ }
}

customElements.define("phone-simulator", PhoneSimulator); // last: it starts at once and needs the classes above
