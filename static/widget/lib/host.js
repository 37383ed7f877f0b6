/** The page around the panel. Both sides check origin and source, and only named messages with named fields pass. */
export class Host {
  constructor(origin, hear) {
    this.origin = origin;
    this.last = {};
    addEventListener("message", ({ origin: from, source, data }) => {
      if (from !== origin || source !== parent || parent === window || data?.helpdesk !== 1) return;
      if (["open", "close", "identity"].includes(data.type)) hear({ type: data.type, token: data.token, page: data.page });
    });
  }

  /** `ready`, `identity` (is somebody signed in?), `close`, `session {on}`, `unread {count}`. */
  tell(type, fields = {}) {
    const text = JSON.stringify(fields);
    if ((type === "unread" || type === "session") && this.last[type] === text) return;
    this.last[type] = text;
    parent.postMessage({ helpdesk: 1, type, ...fields }, this.origin);
  }
}
