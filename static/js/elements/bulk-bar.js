/** <bulk-bar>: what can be done to the selected rows. One choice is one request; the server does the rest. Markup: workspace/bulk_bar.html. */

import { keys } from "../lib/keyboard.js";
import { fromTemplate } from "../lib/nodes.js";
import { phrase } from "../lib/phrases.js";
import { send, text } from "../lib/request.js";
import { toast } from "../lib/toast.js";
import { word } from "../lib/words.js";

const MOST_TO_MERGE = 50;
const NOTHING = "-"; // "" is a choice: nobody

class BulkBar extends HTMLElement {
  #chosen = { ids: [], everything: false };

  connectedCallback() {
    this.list = this.parentElement.querySelector("ticket-list");
    this.parentElement.addEventListener("list:selected", (event) => this.#show(event.detail));
    this.querySelector("[data-beyond]").addEventListener("click", () => this.list.selection.beyond());
    this.addEventListener("click", (event) => {
      const button = event.target.closest("button[data-do]");
      if (button) this.run(button.dataset.do, button.dataset.value);
      if (event.target.closest("[data-more]")) this.#unfold(this.#rest.hidden);
      if (event.target.closest("[data-command='list.select_none']")) this.list.selection.none();
    });
    this.addEventListener("change", (event) => {
      const menu = event.target.closest("select-menu");
      if (!menu || !event.target.matches("input[type=hidden]")) return;
      const { value } = event.target;
      event.target.value = menu.hasAttribute("multiple") ? "" : NOTHING;
      for (const option of menu.options) option.ariaSelected = "false";
      const reason = menu.reason?.value ?? "";
      if (value || !menu.hasAttribute("multiple")) this.run(menu.dataset.do, value, { ...this.#chosen, reason });
    });
    this.addEventListener("snooze:chosen", (event) => {
      event.stopPropagation(); // the open ticket is not meant
      this.run("snooze", event.detail.until);
    });
    this.addEventListener("beforetoggle", (event) => {
      if (event.newState === "open" && event.target.id === "bulk-merge-menu") this.#offerSurvivors();
    }, true);
    this.list.tellSelected(); // it may have come after the first row was selected
  }

  /** They stand where the verbs are. */
  #raiseToasts() {
    document.querySelector("toast-region")?.toggleAttribute("data-raised", this.isActive);
  }

  get isActive() {
    return this.#chosen.ids.length > 0;
  }

  /** Open one verb's values, as its key does. */
  open(verb) {
    const button = this.querySelector(`#bulk-${verb}-button`);
    if (this.#rest.contains(button)) this.#unfold(true);
    button?.click();
    this.querySelector(`#bulk-${verb}-menu [role=combobox]`)?.focus(); // what is typed at once must not be lost
  }

  /** The same for one row, which is selected as long as the values stand there. */
  openFor(id, verb) {
    this.list.selection.toggle(id);
    this.open(verb);
    const close = ({ newState }) => {
      if (newState === "open") return;
      menu.removeEventListener("toggle", close);
      if (this.list.isConnected && String([...this.list.selection.ids]) === String(id)) this.list.selection.none();
    };
    const menu = this.querySelector(`#bulk-${verb}-menu`);
    menu.addEventListener("toggle", close);
  }

  get #rest() {
    return this.querySelector("#bulk-more");
  }

  #unfold(open) {
    this.#rest.hidden = !open;
    this.querySelector("[data-more]").ariaExpanded = String(open);
  }

  /** `chosen`: what is selected, or else one ticket. True when it is under way; what is refused is selected again. */
  async run(deed, value, { ids, everything = false, reason = "" } = this.#chosen) {
    const form = { ...(everything ? { everything: "1" } : { ids: ids.join(",") }), ...(reason ? { reason } : {}) };
    const { list } = this;
    const place = list.facts.place;
    const before = list.selection.give();
    const answer = await send("POST", `${this.dataset.url}${place ? `?${place}` : ""}`, { form: { do: deed, value, ...form } }).catch(() => null);
    const said = answer?.headers.get("Content-Type")?.includes("json") ? await answer.json() : null;
    if (!answer?.ok) {
      toast(said?.words ?? word("failed"), { kind: "error" });
      if (list.isConnected) list.selection.take(before);
      return false;
    }
    toast(said.words, { undo: said.undo_url });
    this.dispatchEvent(new CustomEvent("bulk:started", { bubbles: true, detail: said }));
    return true;
  }

  #show(chosen) {
    this.#chosen = chosen;
    this.hidden = !this.isActive;
    this.#raiseToasts();
    if (this.hidden) {
      this.#unfold(false);
      return;
    }
    this.querySelector("[data-count]").textContent = this.#said(chosen);
    if (chosen.everything) this.#count();
    this.querySelector("[data-beyond]").hidden = chosen.everything || !(chosen.isAll && chosen.hasMore);
    this.querySelector("[data-do=merge]").hidden = chosen.everything || chosen.ids.length < 2 || chosen.ids.length > MOST_TO_MERGE;
  }

  #said({ ids, everything }) {
    return everything ? phrase("everythingSelected") : phrase("selected", { n: ids.length });
  }

  /** How many are meant, of this list and with its query: the server knows. */
  async #count() {
    const { name, place } = this.list.facts;
    const [n] = Object.values(JSON.parse(await text(`${this.dataset.counts}?${place || `view=${name}`}`).catch(() => "{}")));
    if (n && this.#chosen.everything) this.querySelector("[data-count]").textContent = phrase("allSelected", { n });
  }

  /** The selected tickets themselves: one of them takes the others in. */
  #offerSurvivors() {
    const options = this.#chosen.ids.map((id) => {
      const option = fromTemplate("option-template");
      option.id = `bulk-merge-${id}`;
      option.dataset.value = id;
      option.ariaSelected = "false";
      const row = this.list.row(id);
      option.querySelector("[data-label]").textContent = `${row?.querySelector(".row__name")?.firstChild?.textContent ?? id} · ${row?.querySelector(".row__subject, .row__snippet")?.textContent.trim() ?? ""}`;
      return option;
    });
    this.querySelector("#bulk-merge-list").replaceChildren(...options);
  }
}

customElements.define("bulk-bar", BulkBar);

/**
 * While rows are selected, the keys of a ticket mean them; while none is open, those with values mean the highlighted row. Call this after the
 * keys of the open ticket are set: the latest wins. Until then those open the ticket of the row.
 */
export function startBulkKeys() {
  const bar = () => document.querySelector("bulk-bar");
  const when = () => Boolean(bar()?.isActive);
  const isAtRow = () => Boolean(bar()?.list.place) && !document.querySelector("#ticket[data-ticket], #ticket[data-leaves]");
  for (const [verb, command = verb] of [["assign"], ["team"], ["status"], ["priority"], ["snooze"], ["tag", "tags"], ["incident"], ["macro"]]) {
    keys.on(`ticket.${command}`, () => bar().openFor(Number(bar().list.place.dataset.ticket), verb), { when: isAtRow });
    keys.on(`ticket.${command}`, () => bar().open(verb), { when });
  }
  keys.on("ticket.spam", () => { bar().run("spam", ""); }, { when });
  keys.on("ticket.take", () => { bar().run("assign", "me"); }, { when });
  for (const solve of ["ticket.solve", "ticket.solve_next"]) keys.on(solve, () => { bar().run("status", "solved"); }, { when });
  keys.on("list.back", () => bar().list.selection.none(), { when });
}
