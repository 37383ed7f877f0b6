/** Which list and which ticket are on the screen: real addresses, Back and Forward, swaps by id. */

import { adopted, fill, fromTemplate, nodes, painted, parsed, replace, show } from "./nodes.js";
import { phrase } from "./phrases.js";
import { text } from "./request.js";
import { TicketCache } from "./ticket-cache.js";
import { toast } from "./toast.js";
import { word } from "./words.js";

const AGAIN_MS = 5000;
const byId = (id) => document.getElementById(id);

export class Router {
  #heading = null;
  #coming = null; // {id, shown}: it is fetched, and the promise of it
  #wanted = 0; // counts what was asked for, so that a late answer is not shown
  #refreshes = 0; // the same of the thread alone
  #asksAgain = null; // for what of the open ticket could not be had

  /** `writing()` resolves when the composer can be put to work. */
  constructor({ isLive, writing }) {
    this.writing = writing;
    this.cache = new TicketCache({ isLive });
    addEventListener("popstate", () => { if (!location.hash) this.#follow(); });
  }

  /** Id of the open ticket, null without one. */
  get ticket() {
    return Number(byId("ticket")?.dataset.ticket) || null;
  }

  /** Id of the ticket that is about to be shown: keys mean it already. Null where none is. */
  get heading() {
    return this.#heading;
  }

  get list() {
    const facts = byId("list-facts");
    return facts ? JSON.parse(facts.textContent) : null;
  }

  start() {
    const list = byId("list-content");
    if (list?.dataset.src) this.#loadList(list.dataset.src);
    if (this.ticket) this.#complete(this.ticket, this.cache.get(this.ticket), ++this.#wanted);
  }

  addressOf(id) {
    const place = this.list?.place ?? location.search.slice(1);
    return `/tickets/${id}/${place ? `?${place}` : ""}`;
  }

  /** Show a ticket. Resolves to true when it is on the screen; false where it cannot be had, or another one was asked for meanwhile. */
  open(id, how = {}) {
    if (this.#coming?.id === id) return this.#coming.shown;
    const shown = this.#open(id, how);
    if (this.#heading === id) this.#coming = { id, shown };
    return shown;
  }

  async #open(id, { push = true, focus = "" }) {
    if (id === this.ticket && push) {
      if (this.heading) this.#stay();
      this.#pane("thread");
      return true;
    }
    const mine = this.heads(id);
    document.dispatchEvent(new CustomEvent("ticket:opening", { detail: { ticket: id } }));
    let entry = this.cache.get(id);
    const slow = setTimeout(() => { if (mine === this.#wanted) byId("ticket")?.classList.add("is-waiting"); }, 300);
    let html;
    try {
      html = await entry.thread.catch((error) => {
        if (error.status || !entry.ahead) throw error;
        entry = this.cache.get(id); // a guess has failed, no more
        return entry.thread;
      });
    } catch (error) {
      if (mine === this.#wanted) {
        toast(error.status === 404 ? phrase("missing") : word("failed"), { kind: "error" });
        this.#stay();
      }
      return false;
    } finally {
      clearTimeout(slow);
    }
    if (mine !== this.#wanted) return false;
    this.#heading = this.#coming = null;
    this.#leave();
    if (push) history.pushState({}, "", this.addressOf(id));
    this.#show(entry.parsed ? adopted(entry.parsed) : nodes(html));
    entry.parsed = null;
    this.#pane("thread");
    if (entry.isOld) document.dispatchEvent(new CustomEvent("ticket:overtaken"));
    await this.#complete(id, entry, mine);
    if (focus === "title") byId("ticket-title")?.focus({ preventScroll: true });
    return true;
  }

  /** The list anew, and what was said on the open ticket; what stands around that is of whoever asks for this. */
  refresh() {
    this.cache.clear();
    const list = byId("list-content");
    if (list?.dataset.url) this.#loadList(list.dataset.url);
    return this.refreshThread();
  }

  /** What was said on the open ticket, as it is by now; what is on its way to it, and who reads it where, stays. */
  async refreshThread() {
    const id = this.ticket;
    if (!id) return;
    const mine = ++this.#refreshes;
    const thread = byId("thread-log");
    const told = thread.asked();
    const isWanted = () => mine === this.#refreshes && thread.isConnected;
    try {
      const fresh = parsed(await text(`/tickets/${id}/`)).querySelector("#thread-log");
      if (!isWanted()) return;
      thread.become(fresh, told);
      document.dispatchEvent(new CustomEvent("thread:renewed"));
    } catch (error) {
      if (!isWanted()) return;
      if (error.status === 404) this.close({ said: phrase("gone") });
      else setTimeout(() => { if (isWanted()) this.refreshThread(); }, AGAIN_MS);
    } finally {
      thread.answered(told);
    }
  }

  async showList(url, { push = true } = {}) {
    const mine = this.heads(null);
    if (push && location.pathname + location.search !== url) history.pushState({}, "", url);
    this.#empty();
    await this.#loadList(url, mine);
    this.#pane("list");
  }

  /** Back to the list; `said` is why, when nobody asked for it. */
  close({ said = "", push = true } = {}) {
    this.heads(null);
    this.#empty();
    this.#pane("list");
    const url = byId("list-content")?.dataset.url ?? "/";
    if (push && location.pathname.startsWith("/tickets/")) history.pushState({}, "", url);
    if (said) toast(said);
  }

  /** What is asked for now is what is wanted; returns its number. The ticket on the screen is left with it, though it still stands there. */
  heads(id) {
    this.#heading = id;
    this.#coming = null;
    byId("ticket")?.toggleAttribute("data-leaves", id !== null);
    byId("ticket")?.classList.remove("is-waiting");
    return ++this.#wanted;
  }

  /** The ticket on the screen is the wanted one after all. */
  #stay() {
    const mine = this.heads(null);
    const { ticket } = this;
    document.dispatchEvent(new CustomEvent("ticket:opening", { detail: { ticket } }));
    if (ticket && !document.querySelector("ticket-composer")) this.#complete(ticket, this.cache.get(ticket), mine);
  }

  #leave() {
    if (this.ticket) document.dispatchEvent(new CustomEvent("ticket:leaving", { detail: { ticket: this.ticket } }));
  }

  #empty() {
    this.#leave();
    if (this.ticket) {
      replace(byId("ticket"), fromTemplate("no-ticket-template"));
      byId("side-content").replaceChildren();
      document.dispatchEvent(new CustomEvent("ticket:closed"));
    }
    document.title = byId("list-content")?.dataset.title ?? document.title;
  }

  #show(fresh) {
    for (const node of fresh) if (byId(node.id)) show(byId(node.id), node);
    document.title = byId("ticket").dataset.title;
    document.dispatchEvent(new CustomEvent("ticket:opened", { detail: { ticket: this.ticket } }));
  }

  /** The open ticket may lack its composer: there is a connection again, or somebody wants to write. */
  complete() {
    this.#asksAgain?.();
  }

  /** The composer and the customer, each in its place when it has come. */
  async #complete(id, entry, mine) {
    const isMine = () => mine === this.#wanted && this.ticket === id;
    this.#asksAgain = null;
    await painted(); // what one reads first is seen first
    entry.customer.then((html) => { if (this.ticket === id) this.showCustomer(html); }, () => {});
    const writing = this.writing().catch((error) => {
      if (isMine()) toast(word("failed"), { kind: "error" });
      throw error;
    });
    try {
      const [html] = await Promise.all([entry.composer, writing]);
      if (!isMine()) return;
      fill(byId("composer-place"), nodes(html));
      document.dispatchEvent(new CustomEvent("composer:ready", { detail: { ticket: id } }));
    } catch { // the thread can be read without it
      if (isMine()) this.#asksAgain = () => { if (isMine()) this.#complete(id, this.cache.get(id), mine); };
    }
  }

  showCustomer(html) {
    const fresh = nodes(html);
    const [card, more] = [fresh.find((node) => node.id === "customer-card"), fresh.find((node) => node.id === "customer-more")];
    if (!byId("customer-place") || !card) return;
    fill(byId("customer-head"), [card]);
    fill(byId("customer-place"), [more]);
    document.dispatchEvent(new CustomEvent("customer:shown"));
  }

  async #loadList(url, mine = this.#wanted) {
    const slow = setTimeout(() => byId("list-content")?.classList.add("is-waiting"), 300);
    try {
      const html = await text(url);
      if (mine === this.#wanted || byId("list-content").dataset.src) show(byId("list-content"), nodes(html)[0]);
      document.dispatchEvent(new CustomEvent("list:shown"));
    } catch {
      toast(word("failed"), { kind: "error" });
    } finally {
      clearTimeout(slow);
      byId("list-content")?.classList.remove("is-waiting");
    }
  }

  #pane(name) {
    const app = byId("app");
    app.dataset.pane = name;
    if (innerWidth < 1180 && app.dataset.side === "open") app.dataset.side = "";
    if (innerWidth < 1440 && app.dataset.nav === "open") app.dataset.nav = "";
  }

  /** Back and Forward. */
  #follow() {
    const ticket = /^\/tickets\/(\d+)\//.exec(location.pathname);
    if (ticket) this.open(Number(ticket[1]), { push: false });
    else if (byId("list-content")?.dataset.url === location.pathname + location.search) this.close({ push: false });
    else this.showList(location.pathname + location.search, { push: false });
  }
}
