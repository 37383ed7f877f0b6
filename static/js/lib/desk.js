/** What the composer does with the server: drafts, files, sending, and the strip that says why something was not sent. */

import { EnterSends } from "./composition.js";
import { DraftKeeper } from "./draft-keeper.js";
import { Held } from "./held.js";
import { nodes } from "./nodes.js";
import { phrase } from "./phrases.js";
import { send } from "./request.js";
import { toast } from "./toast.js";
import { word } from "./words.js";

const TYPING_MS = 4000;
const SEEN_MS = 1000;
const PLACE = /\{\{[^{}\n]*\}\}/;
const MENTIONS_FILE = /첨부|\battach(ed|ing|ment|ments)?\b/i;

export class Desk {
  #waiting = new Set(); // uploads under way
  #typing = null;
  #keepers = {};

  /** `thread()` gives the thread-log element; `doing(what)` hears viewing, replying, noting; `after(then)` hears what was sent; `queue` takes what cannot go; `uploading` is the promise of lib/uploading.js. */
  constructor(composer, { ticket, thread, doing, after, queue, uploading }) {
    Object.assign(this, { composer, ticket, thread, doing, after, queue, uploading });
    this.form = composer.querySelector("form");
    this.tray = composer.querySelector("#composer-files");
    this.guard = composer.querySelector("#composer-guard");
    for (const kind of ["reply", "note"]) this.#keepers[kind] = this.#keeper(kind);
    this.form.addEventListener("input", (event) => this.#written(event));
    this.form.addEventListener("change", (event) => this.#changed(event));
    this.guard.addEventListener("click", (event) => this.#guarded(event));
    this.tray.addEventListener("htmx:afterRequest", () => this.#keepers[composer.kind].changed());
    composer.addEventListener("composer:send", (event) => { event.preventDefault(); this.send(event.detail); });
    composer.addEventListener("paste", (event) => this.#pasted(event));
    for (const name of ["dragover", "dragleave", "drop"]) composer.addEventListener(name, (event) => this.#dragged(event));
    this.#rescue();
    this.#later();
    this.held = new Held({
      thread,
      draftUrl: this.form.dataset.draftUrl.replace("KIND", "reply"),
      back: (draft) => this.takenBack(draft),
      gone: (html) => this.released(html),
    });
    const waiting = composer.querySelector("template[data-held]")?.content.firstElementChild;
    if (waiting) this.held.show(document.importNode(waiting, true));
  }

  get fields() {
    return this.form.elements;
  }

  get fileIds() {
    return [...this.tray.querySelectorAll("input[name=files]")].map((input) => Number(input.value));
  }

  get #insert() {
    return this.composer.querySelector("insert-menu:defined");
  }

  /** A message is on the screen. One that appears beside half a written answer is not read in the moment in which that is sent. */
  shows(messageId) {
    if (this.composer.field.value) setTimeout(() => this.saw(messageId), SEEN_MS);
    else this.saw(messageId);
  }

  /** The newest message that the reader has seen. */
  saw(messageId) {
    if (messageId > Number(this.fields.last_seen_message_id.value)) this.fields.last_seen_message_id.value = messageId;
  }

  flush(how = {}) {
    return Promise.all(Object.values(this.#keepers).map((keeper) => keeper.flush(how)));
  }

  leave() {
    clearTimeout(this.#typing);
    this.#insert?.close();
    this.held.end();
    this.flush({ leaving: true });
  }

  #keeper(kind) {
    const field = kind === "note" ? this.fields.note : this.fields.text;
    return new DraftKeeper({
      url: this.form.dataset.draftUrl.replace("KIND", kind),
      revision: Number(this.form.dataset[kind === "note" ? "revisionNote" : "revisionReply"]) || 0,
      name: `draft:${document.body.dataset.me}:${this.ticket}:${kind}`,
      read: () => ({
        text: field.value,
        route: this.fields.route?.value ?? "",
        files: kind === this.composer.kind ? this.fileIds : [],
        seen: Number(this.fields.last_seen_message_id.value) || null,
        client_uuid: this.fields.client_uuid.value,
        ...(kind === this.composer.kind ? this.#insert?.staged : {}),
        ...(kind === "reply" ? this.composer.changedRecipients : {}),
      }),
      said: (state, count) => this.#say(state, count),
      join: (theirs) => this.#join(kind, theirs),
    });
  }

  /** Another tab of one's own has written here: nothing of either is lost. Where one writes stays where it is. */
  #join(kind, theirs) {
    const field = kind === "note" ? this.fields.note : this.fields.text;
    if (!field.value.includes(theirs.trim())) field.setRangeText(`${theirs}\n\n`, 0, 0, "preserve");
    this.#keepers[kind].changed();
  }

  #say(state, count) {
    if (count !== undefined) this.composer.counted = count;
    const place = this.composer.querySelector("#composer-saved");
    if (place) place.textContent = { saving: "", saved: phrase("saved"), kept: phrase("savedHere") }[state] ?? "";
  }

  /** What this device kept and the server never got. */
  #rescue() {
    for (const [kind, field] of [["reply", this.fields.text], ["note", this.fields.note]]) {
      const text = this.#keepers[kind].rescued(field.value);
      if (this.queue.of(this.ticket).some((entry) => entry.kind === kind && [text, field.value].includes(entry.text))) {
        field.value = ""; // it waits to be sent
        continue;
      }
      if (text && text !== field.value) {
        field.value = text;
        this.#keepers[kind].changed();
      }
    }
  }

  #written(event) {
    if (event.target.matches("[name=to], [name=cc]")) this.#keepers.reply.changed();
    if (!event.target.matches("textarea")) return;
    this.#keepers[this.composer.kind].changed();
    this.doing(event.target.value ? (this.composer.kind === "note" ? "noting" : "replying") : "viewing");
    clearTimeout(this.#typing);
    this.#typing = setTimeout(() => this.doing("viewing"), TYPING_MS);
  }

  #changed(event) {
    if (event.target.matches("[data-files], [data-camera]")) {
      this.upload([...event.target.files]);
      event.target.value = "";
    } else if (event.target.name === "route") {
      this.#hush();
      this.#keepers.reply.changed();
    }
  }

  // Files

  #pasted(event) {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    this.upload(files);
  }

  #dragged(event) {
    if (![...(event.dataTransfer?.types ?? [])].includes("Files")) return;
    event.preventDefault();
    this.form.classList.toggle("is-dropping", event.type === "dragover");
    if (event.type === "drop") this.upload([...event.dataTransfer.files]);
  }

  upload(files) {
    const how = {
      url: this.form.dataset.uploadUrl,
      tray: this.tray,
      tools: this.composer.querySelector("template[data-failed]"),
      changed: () => this.#keepers[this.composer.kind].changed(),
      again: (file) => this.upload([file]),
    };
    for (const file of files) {
      const one = this.uploading
        .then(({ upload }) => upload(file, how))
        .catch(() => toast(word("failed"), { kind: "error" }))
        .finally(() => this.#waiting.delete(one));
      this.#waiting.add(one);
    }
  }

  // Sending

  async send({ kind, then = "", anyway = false, sure = false, at = "" }) {
    if (this.composer.hasAttribute("busy")) return;
    this.composer.setAttribute("busy", "");
    try {
      await Promise.all(this.#waiting);
      if (!this.#warns(kind, { then, at })) await this.#send({ kind, then, anyway, sure, at });
    } finally {
      this.composer.removeAttribute("busy");
    }
  }

  /** What looks like a slip, in the one strip: it holds up this text once. */
  #warns(kind, how) {
    const text = (kind === "note" ? this.fields.note : this.fields.text).value;
    const failed = this.tray.querySelector("[data-state=failed] .attachment__name")?.textContent;
    const place = PLACE.exec(text)?.[0];
    const people = kind === "reply" && document.getElementById("viewers")?.dataset.replying;
    let slip = "";
    if (failed) slip = phrase("fileFailed", { name: failed });
    else if (place) slip = phrase("unfilled", { name: place });
    else if (people) slip = phrase("replying", { names: people });
    else if (MENTIONS_FILE.test(text) && !this.tray.children.length) slip = phrase("noFile");
    if (!slip || this.warned === slip + text) return false;
    this.warned = slip + text;
    const strip = this.composer.querySelector("template[data-slip]").content.cloneNode(true);
    strip.querySelector("p").textContent = slip;
    strip.querySelector("[data-go]").addEventListener("click", () => this.send({ kind, ...how }));
    this.guard.replaceChildren(strip);
    this.guard.dataset.tone = "";
    this.guard.hidden = false;
    return true;
  }

  /** Send later: times to press, and a line for one's own words. */
  #later() {
    const menu = this.composer.querySelector("#later-menu");
    const line = menu?.querySelector("input[type=text]");
    const go = (at) => {
      menu.hidePopover();
      if (at && this.fields.text.value.trim()) this.send({ kind: "reply", at });
    };
    menu?.addEventListener("click", (event) => {
      const button = event.target.closest("[data-at]");
      if (button) go(button.dataset.at || line.value.trim());
    });
    menu?.addEventListener("toggle", (event) => { if (event.newState === "open") line.focus(); });
    if (line) new EnterSends(line, { send: () => go(line.value.trim()), plain: () => true });
  }

  /** Taken back, or stopped: everything stands in the composer again, before what was written since. */
  takenBack({ text, files, revision = 0, route, to, cc }) {
    const field = this.fields.text;
    field.value = [text, field.value].filter(Boolean).join("\n\n");
    for (const chip of nodes(files)) {
      this.tray.append(chip);
      window.htmx?.process(chip);
    }
    if (route) this.composer.querySelector(".routes").value = route;
    this.composer.show("reply");
    this.composer.address(to === undefined ? undefined : { to, cc });
    this.#insert?.give(this.macro);
    this.#keepers.reply.continue(revision);
    this.#keepers.reply.changed();
  }

  /** The answer that was held has left: what was written meanwhile can be saved. */
  released(html = null) {
    this.held.end();
    if (html) this.thread()?.apply([html]);
    this.flush();
    this.after("");
  }

  /** The thread has moved on before it left. */
  async stopped() {
    if (!this.held.isShown) return;
    const answer = await send("GET", this.held.draftUrl).catch(() => null);
    const draft = answer?.ok ? await answer.json() : null;
    if (!draft?.stopped || !this.held.isShown) return;
    this.held.end();
    this.takenBack(draft);
  }

  async #send({ kind, then, anyway, sure, at }) {
    const isNote = kind === "note";
    const field = isNote ? this.fields.note : this.fields.text;
    const text = field.value;
    const fields = new FormData();
    const words = { text, route: this.fields.route?.value ?? "", then, anyway: anyway ? "1" : "", sure: sure ? "1" : "", send_at: at };
    if (!isNote) Object.assign(words, this.composer.recipients);
    if (at && this.composer.querySelector("#later-menu input[name=insist]")?.checked) words.insist = "1";
    for (const name of ["client_uuid", "last_seen_message_id"]) words[name] = this.fields[name].value;
    for (const [name, value] of Object.entries(words)) fields.append(name, value);
    for (const id of this.fileIds) fields.append("files", id);
    const files = [...this.tray.children];
    const macro = this.#insert?.take(fields);
    const thread = this.thread();
    const bubble = thread?.pending(text, { note: isNote });
    field.value = "";
    field.dispatchEvent(new Event("input", { bubbles: false }));
    this.tray.replaceChildren();
    this.#hush();
    clearTimeout(this.#typing);
    this.doing("viewing");
    if (this.composer.contains(document.activeElement)) this.#toThread();
    const button = this.form.querySelector(".btn--note[formaction]");
    const url = isNote ? button.getAttribute("formaction") : this.form.getAttribute("action");
    const answer = await send("POST", url, { form: fields }).catch(() => null);
    if (!answer && this.#queued({ kind, url, then, text, fields })) {
      bubble?.remove();
      return;
    }
    if (answer?.status === 202) {
      bubble?.remove();
      this.macro = macro;
      this.#keepers[kind].sent();
      this.fields.client_uuid.value = crypto.randomUUID();
      if (this.composer.isConnected) this.held.show(nodes(await answer.text())[0]);
      this.after(then);
      return;
    }
    if (answer?.status === 201) {
      bubble?.remove();
      thread?.apply([await answer.text()]);
      this.#keepers[kind].sent();
      this.saw(Number(answer.headers.get("X-Message")));
      this.fields.client_uuid.value = crypto.randomUUID();
      this.after(then);
      return;
    }
    bubble?.remove();
    if (!field.value) field.value = text;
    this.tray.prepend(...files);
    this.#insert?.give(macro);
    this.#keepers[kind].changed();
    if (answer && [409, 422].includes(answer.status)) this.#stop(await answer.text(), answer.status, { then, anyway, at });
    else toast(word("failed"), { kind: "error" });
    field.focus();
  }

  /** Without a connection: it waits on this device, and one may go on writing. */
  #queued({ kind, url, then, text, fields }) {
    const entry = { ticket: this.ticket, kind, url, then, text, revision: this.#keepers[kind].revision, fields: [...fields] };
    if (!this.queue.put(entry)) return false;
    this.#keepers[kind].sent();
    this.fields.client_uuid.value = crypto.randomUUID();
    return true;
  }

  /** What had waited and was refused, back where it was written. */
  giveBack({ kind, text, then }, status, html) {
    const field = kind === "note" ? this.fields.note : this.fields.text;
    field.value = [text, field.value].filter(Boolean).join("\n\n");
    this.#keepers[kind].changed();
    if ([409, 422].includes(status)) this.#stop(html, status, { then });
  }

  #stop(html, status, how) {
    const holder = document.createElement("div");
    holder.append(...new DOMParser().parseFromString(html, "text/html").body.childNodes);
    this.guard.replaceChildren(...holder.childNodes);
    this.guard.dataset.tone = status === 409 ? "" : "bad";
    this.stoppedHow = how;
    this.guard.hidden = false;
  }

  /** What comes next is said by keys: E, J, U. */
  #toThread() {
    const thread = this.thread();
    if (!thread) return;
    thread.tabIndex = -1;
    thread.focus({ preventScroll: true });
  }

  #hush() {
    this.guard.hidden = true;
    this.guard.replaceChildren();
  }

  #guarded(event) {
    const review = event.target.closest("[data-review]");
    if (review) {
      this.saw(Number(review.dataset.review));
      document.dispatchEvent(new CustomEvent("acted"));
      const message = document.getElementById(`message-${review.dataset.review}`);
      message?.scrollIntoView({ block: "center" });
      this.#hush();
      this.composer.field.focus();
    } else if (event.target.closest("[data-anyway]")) {
      this.send({ kind: "reply", ...this.stoppedHow, anyway: true });
    } else if (event.target.closest("[data-sure]")) {
      this.send({ kind: "reply", ...this.stoppedHow, sure: true });
    } else if (event.target.closest("[data-wants-tag]")) {
      const go = () => this.send({ kind: this.composer.kind, ...this.stoppedHow });
      document.dispatchEvent(new CustomEvent("tag:wanted", { detail: { ticket: this.ticket, go } }));
    }
  }
}
