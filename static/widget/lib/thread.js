const GROUP_MS = 180_000; // lines of one person within this time stand together
const MARKS = new Set(["strong", "em", "ul", "ol", "li"]);
const LINK = /https?:\/\/[^\s<>"']+[^\s<>"'.,:;!?)\]]/g;

/** The lines of one conversation as elements, each made once and put in its place by key. Only text nodes, no HTML. */
export class Thread {
  constructor({ list, log, words, store, outbox, actions }) {
    Object.assign(this, { list, log, words, store, outbox, actions });
    this.elements = new Map(); // key -> element
    this.shown = "";
  }

  /** Put on screen what the store and the outbox hold for this conversation (null: a new one). */
  show(key, extras = []) {
    if (key !== this.shown && this.shown !== null) this.#empty();
    this.shown = key;
    const atEnd = this.isAtEnd();
    const wanted = this.#items(key, extras);
    const keys = new Set(wanted.map((item) => item.key));
    for (const [old, element] of this.elements) {
      if (!keys.has(old)) {
        element.remove();
        this.elements.delete(old);
      }
    }
    let place = this.list.firstElementChild;
    for (const item of wanted) {
      let element = this.elements.get(item.key);
      if (!element) {
        element = item.make();
        this.elements.set(item.key, element);
      }
      item.update?.(element);
      if (element === place) place = place.nextElementSibling;
      else this.list.insertBefore(element, place);
    }
    if (atEnd) this.toEnd();
    return atEnd;
  }

  isAtEnd() {
    return this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < 60;
  }

  toEnd() {
    this.log.scrollTop = this.log.scrollHeight;
  }

  #empty() {
    this.list.replaceChildren();
    this.elements.clear();
  }

  #items(key, extras) {
    const conversation = key ? this.store.conversations.get(key) : null;
    const lines = key ? this.store.lines(key) : [];
    const pending = this.outbox.lines.filter((line) => (line.conversation ?? null) === (key ?? null) || !line.conversation);
    const all = [...lines, ...pending.map((line) => ({ ...line, from: "visitor", pending: true }))];
    const items = [];
    let before = null;
    all.forEach((line, index) => {
      const day = new Date(line.at).toDateString();
      if (!before || new Date(before.at).toDateString() !== day) items.push(this.#day(day, line.at));
      const next = all[index + 1];
      items.push(this.#line(line, {
        follows: Boolean(before) && joins(before, line), ends: !next || !joins(line, next), last: !all.slice(index + 1).some(isOwn),
      }));
      if (line.survey) items.push(this.#survey(line, conversation));
      before = line;
    });
    if (conversation && !conversation.open) items.push(this.#note("solved", this.words.get("solved_line")));
    return [...items, ...extras];
  }

  #day(day, at) {
    return {
      key: `day:${day}`,
      make: () => fill(clone("t-day"), { ".day": this.words.day(at) }),
    };
  }

  #note(key, text) {
    return { key: `note:${key}`, make: () => fill(clone("t-note"), { ".note": text }) };
  }

  #line(line, { follows, ends, last }) {
    // One key through its whole life, so that the thread's own copy takes the place of what was typed here.
    const own = line.client_uuid?.replaceAll("-", "");
    return {
      key: own ? `own:${own}` : line.id,
      make: () => this.#make(line),
      update: (element) => {
        element.classList.toggle("follows", follows);
        element.classList.toggle("ends", ends);
        element.classList.toggle("failed", line.state === "failed");
        element.classList.toggle("deleted", Boolean(line.deleted));
        const body = element.querySelector(".text");
        const said = JSON.stringify(line.marks ?? line.text);
        if (element.dataset.text !== said) this.#write(body, line);
        element.dataset.text = said;
        element.dataset.id = line.id ?? "";
        this.#files(element, line);
        this.#meta(element, line, last);
      },
    };
  }

  #make(line) {
    const element = clone(line.from === "visitor" ? "t-own" : "t-their");
    if (line.from !== "visitor") {
      const name = line.name || this.words.get("team");
      fill(element, { ".avatar": initial(name), ".name": name });
    }
    return element;
  }

  #write(body, { text, marks = [text] }) {
    body.hidden = !text;
    body.replaceChildren(...marks.flatMap((piece) => built(piece)));
  }

  #files(element, line) {
    const box = element.querySelector(".files");
    const names = JSON.stringify((line.files ?? []).map((file) => [file.name, Boolean(file.url)]));
    if (box.dataset.names === names) return;
    box.dataset.names = names;
    box.hidden = !line.files?.length;
    box.replaceChildren(...(line.files ?? []).map((file) => this.#file(file)));
  }

  #file(file) {
    const isImage = file.inline && file.url;
    const element = clone(isImage ? "t-image" : "t-file");
    const link = element.matches("a") ? element : element.querySelector("a");
    if (file.url) link.href = file.url;
    if (isImage) {
      const image = element.querySelector("img");
      image.addEventListener("load", () => { if (this.isAtEnd()) this.toEnd(); }, { once: true });
      Object.assign(image, { src: file.url, alt: file.name });
    } else {
      fill(element, { ".file-name": file.name, ".file-size": this.words.size(file.size) });
    }
    return element;
  }

  #meta(element, line, last) {
    const meta = element.querySelector(".meta");
    const parts = [];
    if (line.edited) parts.push(this.words.get("edited"));
    if (line.by && line.by !== "webchat" && this.words.get(`by_${line.by}`)) parts.push(this.words.get(`by_${line.by}`));
    let state = "";
    if (line.from === "visitor") {
      state = line.pending ? line.state : this.store.stateOf(line);
      if (state === "sending" && line.reason === "rate_limited") parts.push(this.words.get("rate_limited"));
      else if (state === "sending" && line.reason) parts.push(this.words.get("waiting"));
      else if (state !== "arrived" || last) parts.push(this.words.get(state));
      if (state === "failed") parts.push(this.words.get({ too_long: "too_long", closed: "closed_now" }[line.reason] ?? "refused"));
      if (state === "seen" && !last) parts.pop();
    }
    if (state !== "failed" && state !== "sending") parts.push(this.words.time(line.at));
    const text = parts.filter(Boolean).join(" · ");
    if (meta.textContent !== text) meta.textContent = text;
    element.dataset.state = state;
    const again = element.querySelector(".retry");
    if (again) {
      again.hidden = state !== "failed";
      again.querySelector(".again").onclick = () => this.actions.again(line.client_uuid);
      again.querySelector(".discard").onclick = () => this.actions.discard(line.client_uuid);
    }
  }

  #survey(line, conversation) {
    return {
      key: `survey:${line.survey}`,
      make: () => {
        const form = clone("t-survey");
        for (const button of form.querySelectorAll("[data-score]")) {
          button.addEventListener("click", () => this.actions.rate(line.survey, Number(button.dataset.score), ""));
        }
        form.addEventListener("submit", (event) => {
          event.preventDefault();
          const comment = form.querySelector("textarea").value;
          if (comment.trim()) this.actions.rate(line.survey, this.store.of(line.conversation).score, comment);
          form.querySelector(".more").hidden = true;
          form.dataset.told = "1";
        });
        form.querySelector(".help").addEventListener("click", () => this.actions.help());
        return form;
      },
      update: (form) => {
        const score = conversation?.score ?? null;
        for (const button of form.querySelectorAll("[data-score]")) {
          button.setAttribute("aria-pressed", String(Number(button.dataset.score) === score));
        }
        form.querySelector(".thanks").hidden = score === null;
        form.querySelector(".more").hidden = score === null || form.dataset.told === "1";
      },
    };
  }
}

/** Nodes of what is said: words, or {tag, in, href}; addresses among words become links. */
function built(piece, words = linked) {
  if (typeof piece === "string") return words(piece);
  const isLink = piece.tag === "a";
  const element = isLink ? linkTo(piece.href) : document.createElement(MARKS.has(piece.tag) ? piece.tag : "span");
  element.append(...piece.in.flatMap((inner) => built(inner, isLink ? String : words)));
  return element;
}

function linked(text) {
  const nodes = [];
  let from = 0;
  for (const { 0: address, index } of text.matchAll(LINK)) {
    const link = linkTo(address);
    link.textContent = address;
    nodes.push(text.slice(from, index), link);
    from = index + address.length;
  }
  return [...nodes, text.slice(from)];
}

function linkTo(href) {
  const link = document.createElement("a");
  return Object.assign(link, { href, target: "_blank", rel: "noopener noreferrer nofollow" });
}

export function clone(id) {
  return document.getElementById(id).content.firstElementChild.cloneNode(true);
}

export function fill(element, texts) {
  for (const [selector, text] of Object.entries(texts)) {
    const target = element.matches(selector) ? element : element.querySelector(selector);
    if (target) target.textContent = text;
  }
  return element;
}

/** One letter for an avatar; a Hangul name gives its first syllable. */
export function initial(name) {
  return [...name.trim()][0]?.toLocaleUpperCase() ?? "·";
}

function isOwn(line) {
  return line.from === "visitor";
}

function joins(a, b) {
  return a.from === b.from && (a.name ?? "") === (b.name ?? "") && !a.survey && Math.abs(new Date(b.at) - new Date(a.at)) < GROUP_MS
    && new Date(a.at).toDateString() === new Date(b.at).toDateString();
}
