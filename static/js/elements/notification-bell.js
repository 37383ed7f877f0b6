/**
 * <notification-bell>: how much is unread, the list, and one tab of all that sounds and speaks to the desktop.
 * The socket only says that there is something; without one the bell asks by itself.
 */

import { showCount } from "../lib/badge.js";
import { fill, nodes } from "../lib/nodes.js";
import { place } from "../lib/popover.js";
import { send, text } from "../lib/request.js";
import { sound } from "../lib/sound.js";
import { TabLeader } from "../lib/tab-leader.js";
import { filled } from "../lib/words.js";

const TICK_MS = 15_000;
const CALM_MS = 150;
const ASK_MS = { live: 300_000, away: 15_000, page: 60_000 }; // how old the number may grow: with a socket, without one, on other pages
const TOP_PX = 40;
const HEARD = "notifications.heard"; // the newest that any tab has spoken of

class NotificationBell extends HTMLElement {
  #leader = new TabLeader("helpdesk.bell");
  #after = null; // the newest that this tab knows; what came before the first answer is not announced
  #asked = 0;
  #timer = null;

  connectedCallback() {
    this.list = this.querySelector("[data-rows]");
    this.menu = this.querySelector("[popover]");
    this.menu.addEventListener("toggle", (event) => { if (event.newState === "open") this.#load(); });
    this.querySelector("[data-read-all]").addEventListener("click", () => this.#mark({ up_to: this.#after ?? 0 }));
    this.addEventListener("click", (event) => this.#follow(event));
    document.addEventListener("notified", () => this.#askSoon());
    navigator.serviceWorker?.addEventListener("message", (event) => this.#obey(event));
    for (const name of ["visibilitychange", "ticket:opened", "ticket:closed"]) document.addEventListener(name, () => this.#look());
    for (const name of ["pointerdown", "keydown"]) addEventListener(name, () => this.#touched(), { once: true, capture: true });
    if (navigator.userActivation?.hasBeenActive) this.#touched();
    this.#look();
    setInterval(() => { if (Date.now() - this.#asked >= ASK_MS[document.body.dataset.live ?? "page"]) this.#ask(); }, TICK_MS);
    setTimeout(() => this.#ask(), 400); // after what one came for
  }

  #touched() {
    if (!this.touched) this.#leader.stand();
    this.touched = true;
  }

  #look() {
    this.#leader.look(document.hidden ? null : location.pathname);
    if (!document.hidden) this.#tidy().catch(() => {});
    if (!document.hidden && this.#asked && Date.now() - this.#asked > TICK_MS) this.#ask();
  }

  #askSoon() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ask(), CALM_MS);
  }

  async #ask() {
    this.#asked = Date.now();
    const answer = await text(`${this.dataset.news}?after=${this.#after ?? 0}`).catch(() => null);
    if (!answer) return;
    const news = JSON.parse(answer);
    const first = this.#after === null;
    this.#after = Math.max(this.#after ?? 0, news.newest);
    this.#show(news.unread);
    this.#dressed(); // by now there is time for it
    if (!first && news.items.length) await this.#announce(news);
    if (news.items.length && this.menu.matches(":popover-open") && this.menu.scrollTop < TOP_PX) this.#load(); // who reads further down is not thrown back
  }

  async #announce({ items, only_when_hidden }) {
    const here = items.filter((item) => !document.hidden && item.url === location.pathname);
    for (const item of here) this.#mark({ notification: item.id });
    if (!this.#leader.leads) return;
    const shown = await this.#leader.shown();
    const heard = Number(localStorage.getItem(HEARD) ?? 0);
    const fresh = items.filter((item) => item.id > heard && !shown.includes(item.url));
    localStorage.setItem(HEARD, String(Math.max(heard, ...items.map((item) => item.id))));
    if (only_when_hidden && shown.length) return;
    if (fresh.some((item) => item.sound)) {
      const audible = await sound();
      document.dispatchEvent(new CustomEvent("sounded", { detail: { audible } }));
    }
    for (const item of fresh.filter((one) => one.desktop)) this.#speak(item);
  }

  /** On the desktop, where it is allowed; one for each ticket, the newest in place of the former. */
  #speak(item) {
    if (!window.Notification || Notification.permission !== "granted") return;
    try {
      const shown = new Notification(item.title, { body: item.body, tag: `ticket-${item.ticket ?? item.id}`, icon: this.dataset.icon, silent: true });
      shown.addEventListener("click", () => {
        window.focus();
        shown.close();
        this.#mark({ notification: item.id });
        this.#open(item.url);
      });
    } catch { /* browsers of phones want a service worker for this; the list has it */ }
  }

  /** What was pushed about a ticket has done its work when one looks at it. */
  async #tidy() {
    const ticket = /^\/tickets\/(\d+)\/$/.exec(location.pathname)?.[1];
    const worker = ticket ? await navigator.serviceWorker?.getRegistration() : null;
    for (const shown of (await worker?.getNotifications({ tag: `ticket-${ticket}` })) ?? []) shown.close();
  }

  /** Somebody pressed what was pushed: the worker asks one of its pages to show it. */
  #obey({ data, ports }) {
    if (data.type !== "open") return;
    ports[0]?.postMessage("done");
    if (data.notification) this.#mark({ notification: data.notification });
    if (data.url !== location.pathname) this.#open(data.url);
  }

  #open(url) {
    const link = Object.assign(document.createElement("a"), { href: url });
    this.append(link); // the workspace opens tickets without leaving the page
    link.click();
    link.remove();
  }

  #follow(event) {
    const row = event.target.closest("[data-notification]");
    if (!row || !event.target.closest("a")) return;
    row.classList.remove("is-unread");
    this.#mark({ notification: row.dataset.notification });
    if (!event.metaKey && !event.ctrlKey) this.menu.hidePopover();
  }

  async #mark(form) {
    const answer = await send("POST", this.dataset.mark, { form, keepalive: true }).catch(() => null);
    if (!answer?.ok) return;
    if ("up_to" in form) for (const row of this.list.querySelectorAll(".is-unread")) row.classList.remove("is-unread");
    this.#show((await answer.json()).unread);
  }

  async #load() {
    const [html] = await Promise.all([text(this.dataset.list).catch(() => null), this.#dressed()]);
    if (html === null) return;
    fill(this.list, nodes(html));
    if (this.menu.matches(":popover-open")) place(this.menu, this.querySelector("button")); // it has grown
  }

  /** The list's own styles, which no first page should wait for. */
  #dressed() {
    this.dressed ??= new Promise((done) => {
      const sheet = Object.assign(document.createElement("link"), { rel: "stylesheet", href: this.dataset.styles });
      sheet.addEventListener("load", done);
      sheet.addEventListener("error", done);
      document.head.append(sheet);
    });
    return this.dressed;
  }

  #show(unread) {
    const number = this.querySelector("[data-count]");
    number.hidden = !unread;
    number.textContent = unread > 99 ? "99+" : unread;
    this.querySelector("[data-unread]").textContent = unread ? filled(this.dataset.unread, { count: number.textContent }) : "";
    showCount(unread);
  }
}

customElements.define("notification-bell", NotificationBell);
