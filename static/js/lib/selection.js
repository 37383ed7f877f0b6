/** Which rows of a list are selected: single ones, ranges, all that are loaded, or everything that the list holds. */

export class Selection {
  ids = new Set();
  everything = false; // beyond what is loaded
  #anchor = null;

  /** `order()` gives the ids of the rows from top to bottom; `changed()` is told of every change. */
  constructor({ order, changed }) {
    this.order = order;
    this.changed = changed;
  }

  get size() {
    return this.ids.size;
  }

  has(id) {
    return this.ids.has(id);
  }

  toggle(id) {
    if (!this.ids.delete(id)) this.ids.add(id);
    this.#anchor = id;
    this.#narrowed();
  }

  /** Everything between the row that was chosen last and this one. */
  through(id) {
    const order = this.order();
    const [from, to] = [order.indexOf(this.#anchor), order.indexOf(id)];
    if (from < 0) this.ids.add(id);
    else for (const one of order.slice(Math.min(from, to), Math.max(from, to) + 1)) this.ids.add(one);
    this.#anchor = id;
    this.#narrowed();
  }

  /** One row further from `from`, up (-1) or down (1); going back gives up what was taken. Returns where it ends. */
  extend(from, step) {
    const order = this.order();
    const to = order[order.indexOf(from) + step];
    const isBack = to !== undefined && this.ids.has(from) && this.ids.has(to);
    if (isBack) this.ids.delete(from);
    else for (const one of [from, to]) if (one !== undefined) this.ids.add(one);
    this.#anchor = to ?? from;
    this.#narrowed();
    return to ?? from;
  }

  all() {
    this.ids = new Set(this.order());
    this.#narrowed();
  }

  beyond() {
    this.ids = new Set(this.order());
    this.everything = true;
    this.changed();
  }

  none() {
    this.ids.clear();
    this.#anchor = null;
    this.#narrowed();
  }

  /** Nothing is selected any more. Returns what was, for `take`. */
  give() {
    const { ids, everything } = this;
    this.ids = new Set();
    this.none();
    return { ids, everything };
  }

  /** Selected again, with what was chosen meanwhile. */
  take({ ids, everything }) {
    for (const id of ids) this.ids.add(id);
    this.everything ||= everything;
    this.changed();
  }

  drop(id) {
    if (this.ids.delete(id)) this.changed();
  }

  #narrowed() {
    this.everything = false;
    this.changed();
  }
}
