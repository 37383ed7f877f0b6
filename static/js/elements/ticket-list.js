/**
 * <ticket-list>: the rows. Opens a ticket in place, moves a highlight with the keys, puts a changed row where it belongs, and writes
 * onto the rows what only this reader sees: unread, "You:", "Draft:", who else is there, which one is open.
 */

import { fromTemplate, nodes } from "../lib/nodes.js";
import { phrase } from "../lib/phrases.js";
import { text } from "../lib/request.js";
import { belongs, isUnread } from "../lib/ticket-list.js";
import { word } from "../lib/words.js";

const MARKS_AT_ONCE = 200;
const TYPING_MS = 8000;
const me = Number(document.body.dataset.me);

class TicketList extends HTMLElement {
  #marks = new Map();
  #people = new Map();
  #typing = new Map();
  #held = new Map(); // rows that wait above the reader's place
  #after = null; // the row that followed the open one when that one left the list

  connectedCallback() {
    this.rows = this.querySelector(".rows");
    this.scroll = this.closest(".pane__scroll");
    this.facts = JSON.parse(document.getElementById("list-facts").textContent);
    this.addEventListener("click", (event) => this.#clicked(event));
    this.addEventListener("pointerdown", (event) => this.#pressed(event));
    this.scroll.addEventListener("scroll", () => { if (this.scroll.scrollTop < 24) this.#release(); }, { passive: true });
    new MutationObserver(() => this.#grown()).observe(this.rows, { childList: true });
    this.#grown();
  }

  get all() {
    return [...this.rows.querySelectorAll(":scope > .row")];
  }

  row(id) {
    return this.rows.querySelector(`:scope > #ticket-row-${id}`);
  }

  /** Ids of the rows: the open or highlighted one, else null. */
  get place() {
    return this.rows.querySelector(".row:has([aria-current='true'])") ?? this.rows.querySelector(".row.is-cursor");
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
    for (const row of this.all) {
      const link = row.querySelector(".row__link");
      const is = Number(row.dataset.ticket) === id;
      if (is) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
      row.classList.toggle("is-cursor", is);
    }
    this.row(id)?.scrollIntoView({ block: "nearest" });
    if (this.row(id)) this.#after = null;
  }

  openRow() {
    const id = Number(this.rows.querySelector(".row.is-cursor")?.dataset.ticket);
    if (id) this.#tell(id);
    return Boolean(id);
  }

  #clicked(event) {
    if (event.target.closest(".more-new")) {
      this.scroll.scrollTo({ top: 0 });
      this.#release();
      return;
    }
    const link = event.target.closest(".row__link");
    if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    this.#tell(Number(link.closest(".row").dataset.ticket));
  }

  #pressed(event) {
    const row = event.target.closest(".row");
    if (row && !event.button) this.dispatchEvent(new CustomEvent("list:near", { bubbles: true, detail: { ticket: Number(row.dataset.ticket) } }));
  }

  #tell(ticket) {
    this.dispatchEvent(new CustomEvent("list:open", { bubbles: true, detail: { ticket } }));
  }

  // Changes

  /** A row as it is now. It is moved, replaced, or taken away; above a reader who has scrolled it waits. */
  apply(html) {
    const [fresh] = nodes(html);
    const id = Number(fresh.dataset.ticket);
    const known = this.row(id);
    if (known && Number(known.dataset.updated) > Number(fresh.dataset.updated)) return;
    if (!belongs(this.facts, fresh.dataset, me)) {
      this.#held.delete(id);
      this.#heldChanged();
      if (known) this.takeAway(known);
      return;
    }
    const link = known?.querySelector(".row__link[aria-current]");
    if (link) fresh.querySelector(".row__link").setAttribute("aria-current", "true");
    if (known?.classList.contains("is-cursor")) fresh.classList.add("is-cursor");
    const focused = known?.contains(document.activeElement);
    if (this.scroll.scrollTop > 24 || this.#isUnderPointer(known)) {
      if (known) known.replaceWith(fresh);
      else this.#hold(id, fresh);
    } else {
      known?.remove();
      this.#insert(fresh);
    }
    this.#decorate(fresh);
    if (focused) fresh.querySelector(".row__link").focus();
  }

  #isUnderPointer(row) {
    return Boolean(row?.matches(":hover")) && matchMedia("(hover: hover)").matches;
  }

  #insert(fresh) {
    const updated = Number(fresh.dataset.updated);
    const before = this.all.find((row) => Number(row.dataset.updated) <= updated);
    const more = this.rows.querySelector(":scope > .load-more");
    if (before) before.before(fresh);
    else if (more) return; // belongs to a page that is not loaded yet
    else this.rows.append(fresh);
  }

  takeAway(row) {
    if (row.querySelector("[aria-current='true']")) {
      const next = row.nextElementSibling?.matches(".row") ? row.nextElementSibling : row.previousElementSibling;
      this.#after = Number(next?.dataset.ticket) || null;
    }
    row.remove();
  }

  gone(id) {
    const row = this.row(id);
    if (row) this.takeAway(row);
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
    if (!this.#held.size) return;
    const waiting = [...this.#held.values()];
    this.#held.clear();
    this.#heldChanged();
    for (const row of waiting) {
      this.row(Number(row.dataset.ticket))?.remove();
      this.#insert(row);
    }
  }

  // Marks: what only this reader sees

  #grown() {
    this.querySelector(".list__empty")?.toggleAttribute("hidden", this.all.length > 0);
    const unknown = this.all.filter((row) => !this.#marks.has(Number(row.dataset.ticket)) && !("asked" in row.dataset));
    if (!unknown.length) return;
    for (const row of unknown) {
      row.dataset.asked = "";
      this.#decorate(row);
    }
    this.ask(unknown.map((row) => row.dataset.ticket));
  }

  async ask(ids) {
    for (let i = 0; i < ids.length; i += MARKS_AT_ONCE) {
      const some = ids.slice(i, i + MARKS_AT_ONCE);
      const answer = await text(`/marks/?ids=${some.join(",")}`).catch(() => null);
      if (!answer) continue;
      const { marks, people } = JSON.parse(answer);
      for (const id of some.map(Number)) {
        this.#marks.set(id, marks[id] ?? {});
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
    const id = Number(row.dataset.ticket);
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
