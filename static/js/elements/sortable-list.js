/**
 * <sortable-list>: an ordered list, whose items are dragged by their handle with mouse or finger, moved by their two buttons, and by ↑ ↓
 * Home End on the handle. Each place is announced; the whole order is saved as one step, and can be undone. The
 * server answers with the items as they are then. Without an address the order goes along with a form.
 *
 * While one drags, the neighbours are moved and not the item: it keeps the pointer and the focus.
 */

import { parsed } from "../lib/nodes.js";
import { send } from "../lib/request.js";
import { toast } from "../lib/toast.js";
import { word } from "../lib/words.js";

const PAUSE_MS = 700; // after the last key, until the order is saved
const EDGE = 48; // px from the edges of the window in which the page scrolls along
const STEPS = { ArrowUp: -1, ArrowDown: 1, Home: -Infinity, End: Infinity };

class SortableList extends HTMLElement {
  #before = null; // the order before the first move
  #dragged = null;
  #timer = 0;

  connectedCallback() {
    this.addEventListener("pointerdown", (event) => this.#lift(event));
    this.addEventListener("pointermove", (event) => this.#drag(event));
    this.addEventListener("pointerup", () => this.#drop());
    this.addEventListener("pointercancel", () => this.#back());
    this.addEventListener("keydown", (event) => this.#key(event));
    this.addEventListener("click", (event) => this.#click(event));
    this.addEventListener("focusout", (event) => { if (!this.contains(event.relatedTarget)) this.#save(); });
  }

  get #list() { return this.querySelector("[data-items]"); }
  get #items() { return [...this.#list.children]; }
  get #order() { return this.#items.map((item) => item.dataset.key); }

  #lift(event) {
    const handle = event.target.closest("[data-handle]");
    if (!handle || event.button !== 0) return;
    handle.setPointerCapture(event.pointerId);
    this.#dragged = handle.closest("[data-key]");
    this.#dragged.dataset.lifted = "";
    this.#before ??= this.#order;
  }

  #drag(event) {
    const item = this.#dragged;
    if (!item) return;
    const place = this.#items.indexOf(item);
    let next = item.previousElementSibling;
    while (next && event.clientY < middle(next)) { item.after(next); next = item.previousElementSibling; }
    next = item.nextElementSibling;
    while (next && event.clientY > middle(next)) { item.before(next); next = item.nextElementSibling; }
    if (this.#items.indexOf(item) !== place) this.#announce(item);
    if (event.clientY < EDGE || event.clientY > innerHeight - EDGE) item.scrollIntoView({ block: "center" });
  }

  #drop() {
    if (!this.#dragged) return;
    delete this.#dragged.dataset.lifted;
    this.#dragged = null;
    this.#save();
  }

  #key(event) {
    if (event.key === "Escape" && this.#before) { event.preventDefault(); this.#back(); return; }
    const item = event.target.closest("[data-handle]")?.closest("[data-key]");
    if (!item || !(event.key in STEPS) || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.#step(item, STEPS[event.key]);
  }

  #click(event) {
    const button = event.target.closest("[data-step]");
    if (!button) return;
    event.preventDefault(); // the form of the button is for browsers without scripts
    this.#step(button.closest("[data-key]"), Number(button.dataset.step));
  }

  #step(item, by) {
    const before = this.#order;
    const place = this.#items.indexOf(item);
    const wanted = Math.min(Math.max(place + by, 0), before.length - 1);
    const between = wanted < place ? this.#items.slice(wanted, place) : this.#items.slice(place + 1, wanted + 1);
    if (wanted < place) item.after(...between);
    else item.before(...between);
    this.#announce(item);
    if (!between.length) return;
    this.#before ??= before;
    item.scrollIntoView({ block: "nearest" });
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#save(), PAUSE_MS);
  }

  #announce(item) {
    this.querySelector("[role=status]").textContent = this.dataset.said
      .replace("{name}", item.dataset.name)
      .replace("{place}", this.#items.indexOf(item) + 1)
      .replace("{count}", this.#items.length);
  }

  /** As it was before, unsaved. */
  #back() {
    clearTimeout(this.#timer);
    if (this.#dragged) delete this.#dragged.dataset.lifted;
    this.#dragged = null;
    const before = this.#before;
    this.#before = null; // what is moved loses the focus, and that would save
    if (before) this.#arrange(before);
  }

  #arrange(order) {
    const byKey = new Map(this.#items.map((item) => [item.dataset.key, item]));
    const focused = document.activeElement;
    this.#list.append(...order.map((key) => byKey.get(key)).filter(Boolean));
    if (this.contains(focused)) focused.focus();
  }

  async #save() {
    clearTimeout(this.#timer);
    const before = this.#before;
    this.#before = null;
    if (!before || before.join() === this.#order.join()) return;
    const saved = await this.#post(this.#order);
    if (saved && this.dataset.done) toast(this.dataset.done, { undo: () => this.#post(before) });
    if (saved === false) this.#arrange(before);
  }

  async #post(order) {
    if (!this.dataset.url) return true;
    const answer = await send("POST", this.dataset.url, { form: { order: order.join(",") } }).catch(() => null);
    if (!answer?.ok) toast(answer?.status === 409 ? this.dataset.stale : word("failed"), { kind: "error" });
    if (!answer?.ok && answer?.status !== 409) return false;
    if (this.#before) return true; // one moves on already: the next answer brings the list
    const focused = this.contains(document.activeElement) ? document.activeElement.id : "";
    this.#list.replaceWith(document.importNode(parsed(await answer.text()).querySelector("[data-items]"), true));
    if (focused) document.getElementById(focused)?.focus();
    return answer.ok || null; // null: of others, and shown as it is
  }
}

function middle(element) {
  const { top, height } = element.getBoundingClientRect();
  return top + height / 2;
}

customElements.define("sortable-list", SortableList);
