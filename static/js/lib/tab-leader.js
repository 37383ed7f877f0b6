/**
 * Which of all tabs sounds, and what other tabs look at: locks that the browser gives back when a tab goes, however it goes.
 * Without Web Locks (plain http) a tab leads for as long as it renews its name in the storage.
 */

const RENEW_MS = 2000;
const STALE_MS = 5000;

export class TabLeader {
  leads = false;
  #name;
  #looking = null; // gives the lock of the shown path back
  #path = null;

  constructor(name) {
    this.#name = name;
  }

  /** Ask to lead; whoever asked first does, until its tab is gone. A tab that nobody has touched may not sound: ask after a touch. */
  stand() {
    if (navigator.locks) navigator.locks.request(this.#name, () => { this.leads = true; return new Promise(() => {}); }).catch(() => {});
    else this.#standWithoutLocks();
  }

  /** Say which page this tab shows to somebody; null while it is hidden. */
  look(path) {
    if (path === this.#path || !navigator.locks) return;
    this.#looking?.();
    this.#path = path;
    this.#looking = null;
    if (path === null) return;
    const leave = new AbortController();
    const left = new Promise((resolve) => { this.#looking = () => { leave.abort(); resolve(); }; });
    navigator.locks.request(`${this.#name}:${path}`, { mode: "shared", signal: leave.signal }, () => left).catch(() => {});
  }

  /** The paths that any tab shows to somebody now. */
  async shown() {
    if (!navigator.locks) return document.hidden ? [] : [location.pathname];
    const { held } = await navigator.locks.query();
    const prefix = `${this.#name}:`;
    return held.filter((lock) => lock.name.startsWith(prefix)).map((lock) => lock.name.slice(prefix.length));
  }

  #standWithoutLocks() {
    const me = String(Math.random());
    const claim = () => {
      const [name, at] = (localStorage.getItem(this.#name) ?? "").split(" ");
      this.leads = name === me || Date.now() - Number(at || 0) > STALE_MS;
      if (this.leads) localStorage.setItem(this.#name, `${me} ${Date.now()}`);
    };
    claim();
    setInterval(claim, RENEW_MS);
  }
}
