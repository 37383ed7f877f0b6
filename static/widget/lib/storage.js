/** What the panel keeps in its own storage, which the page's scripts cannot read. Without storage it lives in memory. */
export class Storage {
  #memory = new Map();

  constructor(slug, area = safeArea()) {
    this.prefix = `chat:${slug}:`;
    this.area = area;
  }

  get(name) {
    try {
      return JSON.parse(this.area?.getItem(this.prefix + name) ?? this.#memory.get(name) ?? "null");
    } catch {
      return null;
    }
  }

  set(name, value) {
    const text = JSON.stringify(value);
    this.#memory.set(name, text);
    try {
      this.area?.setItem(this.prefix + name, text);
    } catch { /* full or forbidden: memory holds it for this page */ }
  }

  remove(name) {
    this.#memory.delete(name);
    try {
      this.area?.removeItem(this.prefix + name);
    } catch { /* forbidden */ }
  }

  /** `hear(name)` is called when another tab has changed something. */
  onChange(hear) {
    addEventListener("storage", (event) => {
      if (event.key?.startsWith(this.prefix)) hear(event.key.slice(this.prefix.length));
    });
  }
}

function safeArea() {
  try {
    return globalThis.localStorage ?? null;
  } catch {
    return null; // third-party storage is blocked
  }
}
