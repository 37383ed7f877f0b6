/** A refusal with the server's fixed code; `retryAfter` in seconds. Code "offline" means that no answer came. */
export class CallError extends Error {
  constructor(code, retryAfter = 0) {
    super(code);
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

const EARLY_MS = 30_000; // renew a token this long before it ends

/** The visitor's session: a token for minutes, a renewal secret, both shared by the tabs of one browser. */
export class Session {
  #beginning = null;
  #identity = null; // the site's JWT for the user who is signed in there

  constructor({ base, language, storage, ended = () => {} }) {
    this.base = base;
    this.language = language;
    this.storage = storage;
    this.ended = ended;
  }

  get exists() {
    return this.storage.get("session") !== null;
  }

  get isSigned() {
    return this.storage.get("session")?.subject !== undefined;
  }

  /** A token that is good now; begins a session when there is none. */
  async token() {
    const kept = this.storage.get("session");
    if (kept && kept.until - EARLY_MS > Date.now()) return kept.token;
    return this.#alone(async () => {
      const newest = this.storage.get("session"); // another tab may have renewed it meanwhile
      if (newest && newest.until - EARLY_MS > Date.now()) return newest.token;
      return newest ? this.#renew(newest) : this.#begin();
    });
  }

  /** The page says who is signed in there. Returns whether the session changed. */
  async identify(jwt) {
    const subject = subjectOf(jwt);
    if (!subject) return false;
    this.#identity = jwt;
    const kept = this.storage.get("session");
    const answer = await this.#post("session/", { identity: jwt, language: this.language }, kept?.token);
    const renewal = answer.renewal ?? kept?.renewal;
    this.#keep(answer, renewal, subject);
    return kept?.subject !== subject || Boolean(answer.renewal);
  }

  /** Nobody is signed in on the page (any more): what a signed session showed goes. */
  async anonymous() {
    this.#identity = null;
    if (!this.isSigned) return false;
    await this.end();
    return true;
  }

  async end() {
    const kept = this.storage.get("session");
    this.storage.remove("session");
    if (kept) {
      await fetch(`${this.base}session/`, { method: "DELETE", headers: bearer(kept.token), credentials: "omit" }).catch(() => {});
    }
  }

  /** One call of the protocol. `body` is sent as JSON, FormData as it is. Raises CallError. */
  async call(method, path, body) {
    for (let tries = 0; ; tries += 1) {
      const token = await this.token();
      try {
        return await this.#send(method, path, body, token);
      } catch (error) {
        const kept = this.storage.get("session");
        if (error.code === "token_expired" && tries < 2) {
          if (kept?.token === token) this.storage.set("session", { ...kept, until: 0 });
        } else if (error.code === "session_ended" && tries < 2) {
          if (kept?.token === token) this.#over();
        } else {
          throw error;
        }
      }
    }
  }

  async #begin() {
    const jwt = this.#identity;
    const answer = await this.#post("session/", { language: this.language, ...(jwt ? { identity: jwt } : {}) });
    return this.#keep(answer, answer.renewal, jwt ? subjectOf(jwt) : undefined);
  }

  async #renew(kept) {
    try {
      const answer = await this.#post("session/renewal/", { renewal: kept.renewal });
      return this.#keep(answer, answer.renewal, kept.subject);
    } catch (error) {
      if (error.code !== "session_ended") throw error;
      this.#over();
      return this.#begin();
    }
  }

  #over() {
    this.storage.remove("session");
    this.ended();
  }

  #keep(answer, renewal, subject) {
    this.storage.set("session", { token: answer.token, renewal, subject, until: Date.now() + answer.seconds * 1000 });
    return answer.token;
  }

  /** Renewals of several tabs one after the other: each use replaces the secret. */
  #alone(work) {
    this.#beginning ??= this.#locked(work).finally(() => { this.#beginning = null; });
    return this.#beginning;
  }

  async #locked(work) {
    let begun = false;
    try {
      return await navigator.locks.request(`${this.storage.prefix}session`, () => {
        begun = true;
        return work();
      });
    } catch (error) {
      if (begun) throw error;
      return work(); // no locks in this frame: the server's minute of grace bridges two tabs
    }
  }

  #post(path, body, token) {
    return this.#send("POST", path, body, token);
  }

  async #send(method, path, body, token) {
    const form = body instanceof FormData;
    const headers = { ...(token ? bearer(token) : {}), ...(body && !form ? { "Content-Type": "application/json" } : {}) };
    let response;
    try {
      response = await fetch(this.base + path, {
        method, headers, body: form ? body : body && JSON.stringify(body), credentials: "omit", cache: "no-store",
      });
    } catch {
      throw new CallError("offline");
    }
    const answer = response.status === 204 ? {} : await response.json().catch(() => ({}));
    if (response.ok) return answer;
    throw new CallError(answer.error ?? "unavailable", Number(response.headers.get("Retry-After")) || 0);
  }
}

function bearer(token) {
  return { Authorization: `Bearer ${token}` };
}

/** Whom a JWT names, read without trust: only the server's answer counts. */
export function subjectOf(jwt) {
  return claimsOf(jwt).sub;
}

export function endOf(jwt) {
  return (claimsOf(jwt).exp ?? 0) * 1000;
}

function claimsOf(jwt) {
  try {
    const text = atob(jwt.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"));
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(text, (c) => c.charCodeAt(0))));
  } catch {
    return {};
  }
}
