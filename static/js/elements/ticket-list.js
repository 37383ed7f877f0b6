/**
 * <ticket-list>: the rows. Opens a ticket in place, moves a highlight with the keys, makes a changed row what it is now and puts it
 * where it belongs, selects rows, and writes onto them what only this reader sees: unread, "You:", "Draft:", who else is there.
 */

import { morph } from "../lib/morph.js";
import { fromTemplate, nodes } from "../lib/nodes.js";
import { phrase } from "../lib/phrases.js";
import { text } from "../lib/request.js";
import { Selection } from "../lib/selection.js";
import { belongs, isUnread, precedes } from "../lib/ticket-list.js";
import { writeTimes } from "../lib/time.js";
import { word } from "../lib/words.js";

const MARKS_AT_ONCE = 200;
const TYPING_MS = 8000;
const ASK_MS = 250;
const AT_TOP = 24; // px
const me = Number(document.body.dataset.me);

class TicketList extends HTMLElement {
  #marks = new Map();
  #people = new Map();
  #typing = new Map();
  #held = new Map(); // rows that wait above the reader's place
  #unsettled = new Set(); // ids of rows that stay where they are for now
  #candidates = new Map(); // rows of which the server is asked whether this list holds them
  #isAtTop = true;
  #open = null; // id of the open ticket, whether or not its row is here
  #pressed = null; // rows that came while a button was down: a click must find what it was begun on
  #foreseen = new Map(); // id -> {row, before, deeds, isDone, isTold}: what is being done to rows
  #after = null; // the row that followed the open one when that one left the list

  connectedCallback() {
    this.rows = this.querySelector(".rows");
    this.scroll = this.closest(".pane__scroll");
    this.facts = JSON.parse(document.getElementById("list-facts").textContent);
    this.selection = new Selection({ order: () => this.all.map(idOf), changed: () => this.tellSelected() });
    this.addEventListener("click", (event) => this.#clicked(event));
    this.addEventListener("pointerdown", (event) => this.#down(event));
    this.addEventListener("mousedown", (event) => { if (event.shiftKey) event.preventDefault(); }); // it selects rows, not text
    this.addEventListener("pointerleave", () => this.#settleAll());
    this.scroll.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    new MutationObserver(() => this.#grown()).observe(this.rows, { childList: true });
    new ResizeObserver(() => this.#scrolled()).observe(this); // where it was hidden, nothing tells that it stands elsewhere now
    this.#grown();
  }

  get all() {
    return [...this.rows.querySelectorAll(":scope > .row")];
  }

  /** Whether rows of the list are not loaded yet. */
  get #hasMore() {
    return Boolean(this.rows.querySelector(":scope > .load-more"));
  }

  row(id) {
    return this.rows.querySelector(`:scope > #ticket-row-${id}`);
  }

  /** The row that is open, else the highlighted one; null without. */
  get place() {
    return this.rows.querySelector(".row.is-open") ?? this.rows.querySelector(".row.is-cursor");
  }

  idAt(step) {
    const all = this.all;
    const at = all.indexOf(this.place);
    if (at < 0) {
      const after = this.#after && this.row(this.#after);
      if (after) return step > 0 ? Number(after.dataset.ticket) : Number(after.previousElementSibling?.dataset.ticket) || null;
      return Number((step > 0 ? all[0] : all.at(-1))?.dataset.ticket) || null;
    }
    return Number(all[at + step]?.dataset.ticket) || null;
  }

  /** Where to go after this ticket has been dealt with: the one below, else the one above. */
  nextAfter(id) {
    const row = this.row(id);
    const next = row?.nextElementSibling?.matches(".row") ? row.nextElementSibling : row?.previousElementSibling;
    return Number(next?.dataset.ticket) || (row ? null : this.idAt(1));
  }

  highlight(id) {
    for (const row of this.all) row.classList.toggle("is-cursor", Number(row.dataset.ticket) === id);
    this.row(id)?.scrollIntoView({ block: "nearest" });
  }

  /** Show which ticket is open; null for none. */
  current(id) {
    const row = this.row(id);
    for (const other of this.rows.querySelectorAll(".row.is-cursor, .row.is-open")) {
      if (other !== row) markClosed(other);
    }
    this.#open = id;
    const isNew = row && !row.matches(".is-cursor.is-open");
    if (isNew) {
      markOpen(row);
      row.classList.add("is-cursor");
    }
    if (row) this.#after = null;
    this.#settleAll();
    if (isNew) row.scrollIntoView({ block: "nearest" }); // asking where it stands costs a layout
  }

  openRow() {
    const id = Number(this.rows.querySelector(".row.is-cursor")?.dataset.ticket);
    if (id) this.#tell(id);
    return Boolean(id);
  }

  #clicked(event) {
    if (event.target.closest(".more-new")) {
      this.scroll.scrollTo({ top: 0 });
      this.#takePressed();
      this.#scrolled();
      return;
    }
    const row = event.target.closest(".row");
    if (!row || event.button || event.metaKey || event.ctrlKey || event.altKey) return;
    const box = event.target.closest(".row__select");
    if (box) {
      if (!event.target.matches("input")) return; // the label's own click comes again as the box's
      event.target.blur(); // in a field, single keys would be letters
      if (event.shiftKey) this.selection.through(idOf(row));
      else this.selection.toggle(idOf(row));
    } else if (event.shiftKey) {
      event.preventDefault();
      this.selection.through(idOf(row));
    } else if (event.target.closest(".row__link")) {
      event.preventDefault();
      this.#tell(idOf(row));
    }
  }

  #down(event) {
    this.#pressed ??= [];
    const up = () => {
      removeEventListener("pointerup", up, true);
      removeEventListener("pointercancel", up, true);
      setTimeout(() => this.#takePressed()); // after the click
    };
    addEventListener("pointerup", up, true);
    addEventListener("pointercancel", up, true);
    const row = event.target.closest(".row");
    if (row && !event.button && !event.target.closest(".row__select")) this.dispatchEvent(new CustomEvent("list:near", { bubbles: true, detail: { ticket: idOf(row) } }));
  }

  #takePressed() {
    const waiting = this.#pressed ?? [];
    this.#pressed = null;
    for (const run of waiting) run();
  }

  #tell(ticket) {
    this.dispatchEvent(new CustomEvent("list:open", { bubbles: true, detail: { ticket } }));
  }

  // Changes

  /** A row as it is now: changed in place, moved, added, or taken away. Above a reader who has scrolled a new one waits. */
  apply(html) {
    const [fresh] = nodes(html);
    this.#unpressed(() => this.#take(fresh));
  }

  /** Now, or when the button is up again. */
  #unpressed(run) {
    if (this.#pressed) this.#pressed.push(run);
    else run();
  }

  #take(fresh) {
    const id = idOf(fresh);
    const known = this.row(id);
    if (known && Number(known.dataset.updated) > Number(fresh.dataset.updated)) return;
    if (!belongs(this.facts, fresh.dataset, me)) this.gone(id);
    else if (this.facts.members) this.#inquire(id, fresh);
    else this.#put(id, fresh);
  }

  /** A narrowed list: only the server can tell. What is shown is made true at once. */
  #inquire(id, fresh) {
    if (!this.#candidates.size) setTimeout(() => this.#ask(), ASK_MS);
    this.#candidates.set(id, fresh);
    const known = this.row(id);
    if (known) this.#change(known, fresh.cloneNode(true));
  }

  async #ask() {
    const all = [...this.#candidates];
    this.#candidates.clear();
    for (let i = 0; i < all.length; i += MARKS_AT_ONCE) {
      const asked = new Map(all.slice(i, i + MARKS_AT_ONCE));
      const url = new URL(this.facts.members, location);
      url.searchParams.set("ids", [...asked.keys()].join(","));
      const answer = await text(url).catch(() => null);
      if (answer) this.#unpressed(() => this.#answered(asked, new Set(JSON.parse(answer).ids)));
    }
  }

  #answered(asked, inside) {
    for (const [id, fresh] of asked) {
      if (!inside.has(id)) this.gone(id);
      else if (!this.#candidates.has(id)) this.#put(id, fresh);
    }
  }

  #put(id, fresh) {
    const known = this.row(id);
    if (known) {
      this.#change(known, fresh);
      if (this.#isAtTop && !this.#stays(known)) this.#settle(known);
      else this.#unsettled.add(id);
    } else if (!this.#isAtTop && this.#isAbove(fresh)) {
      this.#hold(id, fresh);
    } else {
      this.#held.delete(id);
      this.#insert(fresh);
      this.#heldChanged();
    }
  }

  #change(row, fresh) {
    morph(row, fresh);
    writeTimes(row);
    this.#decorate(row);
  }

  /** Kept, not asked for with every event: after a change of the page the answer costs a layout of all of it. */
  #scrolled() {
    this.#isAtTop = this.scroll.scrollTop <= AT_TOP;
    if (this.#isAtTop) this.#release();
  }

  /** Whether its place is above what this reader sees. */
  #isAbove(fresh) {
    const top = this.scroll.getBoundingClientRect().top;
    const first = this.all.find((row) => row.getBoundingClientRect().bottom > top);
    return Boolean(first) && precedes(this.facts.order, fresh.dataset, first.dataset);
  }

  /** The open row, and the one under the pointer or the focus, do not run away. */
  #stays(row) {
    return row.matches(".is-open") || row.contains(document.activeElement) || (row.matches(":hover") && matchMedia("(hover: hover)").matches);
  }

  #settleAll() {
    if (this.#pressed || !this.#unsettled.size || !this.#isAtTop) return;
    for (const id of this.#unsettled) {
      const row = this.row(id);
      if (row && this.#stays(row)) continue;
      this.#unsettled.delete(id);
      if (row) this.#settle(row);
    }
  }

  /** Put a row of the list where it stands now. */
  #settle(row) {
    const inOrder = (one, other) => !one?.matches(".row") || !other?.matches(".row") || precedes(this.facts.order, one.dataset, other.dataset);
    if (inOrder(row.previousElementSibling, row) && inOrder(row, row.nextElementSibling)) return;
    const focused = row.contains(document.activeElement) ? document.activeElement : null;
    row.remove();
    this.#insert(row);
    focused?.focus({ preventScroll: true });
  }

  #insert(fresh) {
    const before = this.all.find((row) => !this.#unsettled.has(idOf(row)) && precedes(this.facts.order, fresh.dataset, row.dataset));
    if (before) before.before(fresh);
    else if (this.#hasMore) return; // belongs to a page that is not loaded yet
    else this.rows.append(fresh);
    this.#decorate(fresh);
  }

  takeAway(row) {
    const id = idOf(row);
    const isOpen = row.matches(".is-open");
    if (isOpen) {
      const next = row.nextElementSibling?.matches(".row") ? row.nextElementSibling : row.previousElementSibling;
      this.#after = Number(next?.dataset.ticket) || null;
    }
    row.remove();
    this.#unsettled.delete(id);
    this.selection.drop(id);
    this.refreshEmpty();
    this.dispatchEvent(new CustomEvent("list:left", { bubbles: true, detail: { ticket: id, next: isOpen ? this.#after : null } }));
  }

  /** The sentence at the end of the work, where that is reached, as it is now: what sleeps may have changed. */
  async refreshEmpty() {
    if (this.all.length || this.#hasMore) return;
    const html = await text(this.closest(".list").dataset.url).catch(() => null);
    const fresh = html && nodes(html).find((node) => node.id === "list-content")?.querySelector(".list__empty");
    const place = this.querySelector(".list__empty");
    if (fresh && place) place.replaceChildren(...fresh.childNodes);
  }

  /**
   * What is being done to a ticket shows before the server has answered: its row's facts are these, and it leaves a list to which it belongs
   * no more. Call what this returns with whether it was done: where it was not, the row is as it was before the first of several deeds.
   */
  foresee(id, facts) {
    const row = this.row(id);
    if (!row) return () => {};
    const one = this.#foreseen.get(id) ?? { row, before: row.cloneNode(true), deeds: 0, isDone: true };
    this.#foreseen.set(id, one);
    one.deeds += 1;
    Object.assign(row.dataset, facts);
    if (!belongs(this.facts, row.dataset, me)) this.#unpressed(() => this.#leave(id));
    return (isDone) => {
      one.deeds -= 1;
      one.isDone &&= isDone;
      if (one.deeds) return;
      this.#foreseen.delete(id);
      if (!one.isDone && !one.isTold) this.#putBack(id, one);
    };
  }

  #putBack(id, { row, before }) {
    const known = this.row(id);
    if (known && (known !== row || row.dataset.updated !== before.dataset.updated)) return; // the server has told it anew
    if (!known) markClosed(row);
    this.#change(row, before);
    if (known) return;
    this.#insert(row);
    if (!row.isConnected) this.rows.querySelector(":scope > .load-more").before(row); // it had been loaded
  }

  /** The server has told that it is no longer in this list. */
  gone(id) {
    const one = this.#foreseen.get(id);
    if (one) one.isTold = true;
    this.#unpressed(() => this.#leave(id));
  }

  #leave(id) {
    const row = this.row(id);
    if (row) this.takeAway(row);
    this.#candidates.delete(id);
    this.#held.delete(id);
    this.#heldChanged();
  }

  #hold(id, row) {
    this.#held.set(id, row);
    this.#heldChanged();
  }

  #heldChanged() {
    let button = this.querySelector(".more-new");
    if (!this.#held.size) {
      button?.remove();
      return;
    }
    if (!button) {
      button = fromTemplate("more-new-template");
      this.prepend(button);
    }
    button.querySelector("span").textContent = phrase("newRows", { n: this.#held.size });
  }

  #release() {
    if (this.#pressed) return;
    this.#settleAll();
    if (!this.#held.size) return;
    const waiting = [...this.#held.values()];
    this.#held.clear();
    this.#heldChanged();
    for (const row of waiting) {
      this.row(idOf(row))?.remove();
      this.#insert(row);
    }
  }

  // Selection

  /** Select the row that a key means, or give it up. */
  toggleSelected() {
    const row = this.place;
    if (!row) return false;
    this.selection.toggle(idOf(row));
    return true;
  }

  extendSelected(step) {
    const from = this.rows.querySelector(".row.is-cursor") ?? this.place ?? this.all[0];
    if (!from) return false;
    const to = this.selection.extend(idOf(from), step);
    if (to) this.highlight(to);
    return true;
  }

  /** Which rows are selected, shown and told. */
  tellSelected() {
    const { selection } = this;
    for (const row of this.all) this.#showSelected(row);
    this.rows.classList.toggle("is-selecting", selection.size > 0);
    this.dispatchEvent(new CustomEvent("list:selected", { bubbles: true, detail: { ids: [...selection.ids], everything: selection.everything, isAll: selection.size === this.all.length, hasMore: this.#hasMore } }));
  }

  #showSelected(row) {
    const is = this.selection.has(idOf(row));
    row.classList.toggle("is-selected", is);
    const box = row.querySelector(".row__select input");
    if (box) box.checked = is;
  }

  // Marks: what only this reader sees

  #grown() {
    this.querySelector(".list__empty")?.toggleAttribute("hidden", this.all.length > 0);
    const unknown = this.all.filter((row) => !this.#marks.has(Number(row.dataset.ticket)) && !("asked" in row.dataset));
    if (!unknown.length) return;
    for (const row of unknown) {
      row.dataset.asked = "";
      if (this.selection.everything) this.selection.ids.add(idOf(row));
      this.#decorate(row);
      this.#showSelected(row);
    }
    this.ask(unknown.map((row) => row.dataset.ticket));
  }

  async ask(ids) {
    for (let i = 0; i < ids.length; i += MARKS_AT_ONCE) {
      const some = ids.slice(i, i + MARKS_AT_ONCE).map(Number);
      const before = some.map((id) => this.#marks.get(id));
      const answer = await text(`/marks/?ids=${some.join(",")}`).catch(() => null);
      if (!answer) continue;
      const { marks, people } = JSON.parse(answer);
      for (const [at, id] of some.entries()) {
        if (this.#marks.get(id) === before[at]) this.#marks.set(id, marks[id] ?? {}); // else marked meanwhile: that is newer
        this.#people.set(id, people[id] ?? []);
        const row = this.row(id);
        if (row) this.#decorate(row);
      }
    }
  }

  /** Marks as they came by a whisper: {read} or {draft}. */
  mark(id, change) {
    this.#marks.set(id, { ...this.#marks.get(id), ...change });
    const row = this.row(id);
    if (row) this.#decorate(row);
  }

  present(id, people) {
    this.#people.set(id, people);
    const row = this.row(id);
    if (row) this.#decorate(row);
  }

  customerTyping(id, on) {
    clearTimeout(this.#typing.get(id));
    this.#typing.delete(id);
    if (on) this.#typing.set(id, setTimeout(() => this.customerTyping(id, false), TYPING_MS));
    const row = this.row(id);
    if (row) this.#decorate(row);
  }

  #decorate(row) {
    const id = idOf(row);
    if (id === this.#open) markOpen(row);
    const mark = this.#marks.get(id);
    row.classList.toggle("is-unread", this.#marks.has(id) && isUnread(row.dataset, mark, me));
    const slot = (name) => row.querySelector(`[data-slot="${name}"]`);
    this.#write(slot("by"), row.dataset.by === String(me) ? word("you") : "");
    this.#write(slot("draft"), mark?.draft ? `${word("draft")} ${mark.draft}` : "");
    row.classList.toggle("has-draft", Boolean(mark?.draft));
    this.#write(slot("typing"), this.#typing.has(id) ? word("typing") : "");
    const others = (this.#people.get(id) ?? []).filter((person) => person.id !== me).slice(0, 3);
    slot("viewers")?.replaceChildren(...others.map((person) => viewer(person, 18)));
  }

  #write(slot, words) {
    if (slot && slot.textContent !== words) slot.textContent = words;
  }
}

function markClosed(row) {
  row.querySelector(".row__link").removeAttribute("aria-current");
  row.classList.remove("is-cursor", "is-open");
}

function markOpen(row) {
  row.querySelector(".row__link").setAttribute("aria-current", "true");
  row.classList.add("is-open");
}

function idOf(row) {
  return Number(row.dataset.ticket);
}

/** A colleague's small picture, with a ring that tells what they do. */
export function viewer({ name, doing, hue }, size = 24) {
  const element = fromTemplate("viewer-template");
  element.className = `avatar avatar--${size}`;
  element.dataset.hue = hue;
  element.dataset.doing = doing;
  element.textContent = [...name.trim()][0]?.toLocaleUpperCase() ?? "?";
  element.setAttribute("aria-label", name);
  element.title = name;
  return element;
}

customElements.define("ticket-list", TicketList);
