/** What the composer does with the server: drafts, files, sending, and the strip that says why something was not sent. */

import { EnterSends } from "./composition.js";
import { DraftKeeper } from "./draft-keeper.js";
import { isWriting } from "./keys.js";
import { draftName, joined, without } from "./mirror.js";
import { nodes, parsed } from "./nodes.js";
import { phrase } from "./phrases.js";
import { toast } from "./toast.js";
import { word } from "./words.js";

const TYPING_MS = 4000;
const SEEN_MS = 1000;
const PLACE = /\{\{[^{}\n]*\}\}/;
const MENTIONS_FILE = /첨부|\battach(ed|ing|ment|ments)?\b/i;

export class Desk {
  #uploads = { reply: new Set(), note: new Set() }; // under way
  #places = {}; // kind -> {tray}: where their chips go; it goes along with what is sent
  #typing = null;
  #keepers = {};
  #returned = {}; // kind -> {text, client_uuid}: what was given back
  #composing = null; // the field in which a syllable is not whole yet
  #waiting = {}; // kind -> text that comes before what is written there, once it is

  /** `thread()` gives the thread-log element; `doing(what)` hears viewing, replying, noting; `after(then)` hears what was sent; `queue` takes what is sent; `uploading()` the promise of lib/uploading.js. */
  constructor(composer, { ticket, thread, doing, after, queue, uploading }) {
    Object.assign(this, { composer, ticket, thread, doing, after, queue, uploading });
    this.form = composer.querySelector("form");
    this.guard = composer.querySelector("#composer-guard");
    for (const kind of ["reply", "note"]) {
      this.#keepers[kind] = this.#keeper(kind);
      composer.trayOf(kind).addEventListener("htmx:afterRequest", () => this.#keepers[kind].changed());
    }
    this.form.addEventListener("input", (event) => this.#written(event));
    this.form.addEventListener("change", (event) => this.#changed(event));
    this.form.addEventListener("compositionstart", ({ target }) => { this.#composing = target; }, true); // the insert menu may keep them
    this.form.addEventListener("compositionend", () => this.#composed(), true);
    this.guard.addEventListener("click", (event) => this.#guarded(event));
    composer.addEventListener("composer:send", (event) => { event.preventDefault(); this.send(event.detail); });
    composer.addEventListener("paste", (event) => this.#pasted(event));
    for (const name of ["dragover", "dragleave", "drop"]) composer.addEventListener(name, (event) => this.#dragged(event));
    this.saw(Number(document.getElementById("ticket").dataset.newest)); // what came since the thread was asked for is seen when it is shown
    this.#rescue();
    this.#later();
  }

  get fields() {
    return this.form.elements;
  }

  draftUrl(kind) {
    return this.form.dataset.draftUrl.replace("KIND", kind);
  }

  /** What a macro does along with this; until its menu is there as the server wrote it. */
  #staged(kind) {
    const menu = this.composer.querySelector("insert-menu");
    if (menu.staged) return menu.staged(kind);
    const { macro, deeds, for: its } = menu.dataset;
    return macro && its === kind ? { macro: Number(macro), deeds: deeds.split(",").filter(Boolean).map(Number) } : {};
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
    this.composer.querySelector("insert-menu").close?.();
    this.flush({ leaving: true });
  }

  #keeper(kind) {
    const field = this.composer.fieldOf(kind);
    return new DraftKeeper({
      url: this.draftUrl(kind),
      revision: Number(this.form.dataset[kind === "note" ? "revisionNote" : "revisionReply"]) || 0,
      name: draftName({ ticket: this.ticket, kind }, document.body.dataset.me),
      read: () => ({
        text: joined(...this.queue.unready(this.ticket, kind).map(({ text }) => text), this.#waiting[kind], field.value), // those wait in no other place
        route: this.fields.route?.value ?? "",
        files: idsOf(this.composer.trayOf(kind)),
        seen: Number(this.fields.last_seen_message_id.value) || null,
        client_uuid: this.#uuidOf(kind),
        ...this.#staged(kind),
        ...(kind === "reply" ? this.composer.changedRecipients : {}),
      }),
      waits: () => this.queue.of(this.ticket, kind).length > 0,
      said: (state, count) => this.#say(state, count),
      join: (theirs) => this.#join(kind, theirs),
      posted: (text) => this.#posted(kind, text),
    });
  }

  /** Another tab of one's own has written here: nothing of either is lost. Where one writes stays where it is. */
  #join(kind, theirs) {
    if (!joined(this.#waiting[kind], this.composer.fieldOf(kind).value).includes(theirs.trim())) this.#prepend(kind, theirs);
    this.#keepers[kind].changed();
  }

  /** What was given back goes by the same as before, for it may have arrived: changed, it is a text of its own. */
  #uuidOf(kind) {
    const back = this.#returned[kind];
    return back && back.text === this.composer.fieldOf(kind).value ? back.client_uuid : this.fields.client_uuid.value;
  }

  /** It had arrived: what was given back is in the thread; another tab's draft, gone on with here, is a text of its own. */
  #posted(kind, text) {
    if (this.#returned[kind]?.text !== text) {
      this.fields.client_uuid.value = crypto.randomUUID();
    } else if (this.composer.fieldOf(kind).value === text) {
      this.#empty(kind);
      this.#hush();
      this.after("");
    }
    delete this.#returned[kind];
    this.#keepers[kind].changed();
  }

  /** Before what is written there; where one writes stays where it is, and no syllable is broken. */
  #prepend(kind, text) {
    const field = this.composer.fieldOf(kind);
    if (field === this.#composing) {
      this.#waiting[kind] = joined(text, this.#waiting[kind]);
      return;
    }
    if (field.value) field.setRangeText(`${text}\n\n`, 0, 0, "preserve");
    else field.value = text;
    field.dispatchEvent(new Event("input")); // its height and its length, not its draft
  }

  #composed() {
    this.#composing = null;
    setTimeout(() => { // what the Enter that ended it sends goes first; and the next syllable may have begun
      for (const [kind, text] of Object.entries(this.#waiting)) {
        if (this.composer.fieldOf(kind) === this.#composing) continue;
        delete this.#waiting[kind];
        this.#prepend(kind, text);
        this.#keepers[kind].changed();
      }
    });
  }

  #say(state, count) {
    if (count !== undefined) this.composer.counted = count;
    const place = this.composer.querySelector("#composer-saved");
    if (place) place.textContent = { saving: "", saved: phrase("saved"), kept: phrase("savedHere") }[state] ?? "";
  }

  /** What this device kept and the server never got, without what is on its way. */
  #rescue() {
    for (const [kind, keeper] of Object.entries(this.#keepers)) {
      const field = this.composer.fieldOf(kind);
      const sent = this.queue.of(this.ticket, kind).map(({ text }) => text);
      field.value = without(sent, field.value);
      const text = without(sent, keeper.rescued(field.value) ?? field.value);
      if (sent.length) this.#clear(kind);
      if (text === field.value) continue;
      field.value = text;
      if (kind === "reply" && keeper.keptRoute) this.#goBy(keeper.keptRoute);
      keeper.changed();
    }
  }

  #empty(kind) {
    this.#clear(kind);
    const field = this.composer.fieldOf(kind);
    field.value = "";
    field.dispatchEvent(new Event("input"));
  }

  /** Its files and its macro are on their way. */
  #clear(kind) {
    this.composer.trayOf(kind).replaceChildren();
    const menu = this.composer.querySelector("insert-menu");
    menu.take?.(kind);
    if (menu.dataset.for === kind) delete menu.dataset.macro;
  }

  #goBy(route) {
    const picker = this.composer.querySelector(".routes");
    if (picker) picker.value = route;
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

  upload(files, kind = this.composer.kind) {
    const uploads = this.#uploads[kind];
    const tray = this.composer.trayOf(kind);
    const place = (this.#places[kind] ??= { tray });
    const how = {
      url: this.form.dataset.uploadUrl,
      changed: () => { if (idsOf(tray).length) this.#keepers[kind].changed(); }, // it may have been sent meanwhile
      again: (file) => this.upload([file], kind),
    };
    for (const file of files) {
      const one = this.uploading()
        .then(({ upload }) => upload(file, { ...how, tray: place.tray }))
        .then(() => true, () => { toast(word("failed"), { kind: "error" }); })
        .finally(() => uploads.delete(one));
      uploads.add(one);
    }
  }

  // Sending

  send({ kind, then = "", anyway = false, sure = false, at = "", stays = false }) {
    if (!this.composer.isEmpty(kind) && !this.#warns(kind, { then, at, stays })) this.#send({ kind, then, anyway, sure, at, stays });
  }

  /** What looks like slips, in the one strip: they hold up this text once. */
  #warns(kind, how) {
    const text = this.composer.fieldOf(kind).value;
    const tray = this.composer.trayOf(kind);
    const failed = tray.querySelector("[data-state=failed] .attachment__name")?.textContent;
    const place = PLACE.exec(text)?.[0];
    const people = kind === "reply" && document.getElementById("viewers")?.dataset.replying;
    const slips = [
      failed && phrase("fileFailed", { name: failed }),
      place && phrase("unfilled", { name: place }),
      people && phrase("replying", { names: people }),
      MENTIONS_FILE.test(text) && !tray.children.length && phrase("noFile"),
    ].filter(Boolean);
    const warning = [...slips, text].join("\n");
    if (!slips.length || this.warned === warning) return false;
    this.warned = warning;
    const strip = this.composer.querySelector("template[data-slip]").content.cloneNode(true);
    const line = strip.querySelector("p");
    line.replaceWith(...slips.map((slip) => Object.assign(line.cloneNode(), { textContent: slip })));
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
      if (at) this.send({ kind: "reply", at });
    };
    menu?.addEventListener("click", (event) => {
      const button = event.target.closest("[data-at]");
      if (button) go(button.dataset.at || line.value.trim());
    });
    menu?.addEventListener("toggle", (event) => { if (event.newState === "open") line.focus(); });
    if (line) new EnterSends(line, { send: () => go(line.value.trim()), plain: () => true });
  }

  /** Words for the customer, below what is written: to be read before they go. */
  add(words) {
    const field = this.composer.reply;
    if (field === this.#composing) {
      field.addEventListener("compositionend", () => setTimeout(() => this.add(words)), { once: true });
      return;
    }
    this.#showReply();
    const end = field.value.trimEnd().length;
    field.setRangeText(`${end ? "\n\n" : ""}${words}`, end, field.value.length, end && field === document.activeElement ? "preserve" : "end");
    field.dispatchEvent(new Event("input"));
    this.#keepers.reply.changed();
  }

  /** Nobody's words land in another field. */
  #showReply() {
    const field = document.activeElement;
    if (field !== this.composer.note) this.composer.show("reply", { focus: !isWriting(field) });
  }

  /** Taken back, or stopped: everything stands in the composer again, before what was written since. */
  takenBack(draft) {
    this.#showReply();
    this.#putBack("reply", draft);
  }

  /** What was refused, back where it was written, and why. Whoever writes elsewhere by now goes on there. */
  giveBack({ kind, how = {} }, { status, html }, draft) {
    const writes = isWriting(document.activeElement);
    const { text, files, revision, macro, deeds } = draft;
    const { value } = this.composer.fieldOf(kind);
    const isAlone = !value || value === text;
    this.#putBack(kind, isAlone ? draft : { text, files, revision, macro, deeds }); // the way of what is written now stays
    if (isAlone) this.#returned[kind] = { text, client_uuid: draft.client_uuid };
    if ([409, 422].includes(status)) this.#stop(html, status, { kind, ...how });
    else if (status || !this.#warns(kind, how)) toast(word("failed"), { kind: "error" });
    if (!writes && kind === this.composer.kind) this.composer.field.focus();
  }

  #putBack(kind, { text, files, revision = 0, route, to, cc, macro, deeds }) {
    const { value } = this.composer.fieldOf(kind);
    if (text && without([text], value) === value) this.#prepend(kind, text); // it may have been found on this device
    for (const chip of typeof files === "string" ? nodes(files) : files) {
      this.composer.trayOf(kind).append(chip);
      window.htmx?.process(chip);
    }
    if (kind === "reply" && route !== undefined) {
      if (route) this.#goBy(route);
      this.composer.address(to === undefined ? undefined : { to, cc });
    }
    if (macro) {
      const menu = this.composer.querySelector("insert-menu");
      Object.assign(menu.dataset, { macro, deeds: deeds.join(), for: kind });
      menu.restore?.();
    }
    this.#keepers[kind].continue(revision);
    this.#keepers[kind].changed();
  }

  /** The answer that was held has left: what was written meanwhile can be saved. */
  released() {
    this.flush();
    this.after("");
  }

  #send({ kind, then, anyway, sure, at, stays }) {
    const isNote = kind === "note";
    const keeper = this.#keepers[kind];
    const [field, tray] = [this.composer.fieldOf(kind), this.composer.trayOf(kind)];
    const uploads = [...this.#uploads[kind]];
    if (uploads.length) { // it takes a while: until then the server keeps it as well
      keeper.changed();
      keeper.flush();
    }
    const text = field.value;
    const { macro = "", deeds = [] } = this.#staged(kind);
    const words = {
      text, then, route: this.fields.route?.value ?? "", anyway: anyway ? "1" : "", sure: sure ? "1" : "", send_at: at,
      client_uuid: this.#uuidOf(kind), last_seen_message_id: this.fields.last_seen_message_id.value,
      ...(isNote ? {} : this.composer.recipients),
      ...(macro && { macro }),
    };
    if (at && this.composer.querySelector("#later-menu input[name=insist]")?.checked) words.insist = "1";
    const fields = [...Object.entries(words), ...deeds.map((n) => ["deed", n])];
    const url = isNote ? this.form.querySelector(".btn--note[formaction]").getAttribute("formaction") : this.form.getAttribute("action");
    const entry = { ticket: this.ticket, kind, url, draftUrl: this.draftUrl(kind), how: { then, at, anyway, sure }, text, revision: keeper.revision, fields };
    const chips = document.createElement("div");
    chips.append(...tray.children);
    if (this.#places[kind]) this.#places[kind].tray = chips;
    delete this.#places[kind];
    const take = () => { fields.push(...idsOf(chips).map((id) => ["files", id])); };
    const ready = uploads.length && Promise.all(uploads).then((done) => { take(); return done.every(Boolean) && !chips.querySelector("[data-state=failed]"); });
    if (!ready) take();
    this.#empty(kind);
    delete this.#returned[kind];
    this.fields.client_uuid.value = crypto.randomUUID();
    this.#hush();
    clearTimeout(this.#typing);
    this.doing("viewing");
    if (stays) field.focus(); // the next line
    else if (this.composer.contains(document.activeElement)) this.#toThread();
    this.queue.go(entry, { files: { desk: this, chips }, ready });
    if (ready) keeper.changed();
  }

  /** It has arrived, or is held on the server; what was written since is kept from now on. */
  went({ kind, how = {}, revision }, message = 0) {
    this.#keepers[kind].sent(revision);
    this.saw(message);
    if (!this.composer.isEmpty(kind)) this.#keepers[kind].changed();
    this.after(how.then);
  }

  #stop(html, status, how) {
    this.guard.replaceChildren(...parsed(html).body.childNodes);
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
    } else if (event.target.closest("[data-wants]")) {
      const place = event.target.closest("[data-wants]").dataset.wants;
      const go = () => this.send({ kind: this.composer.kind, ...this.stoppedHow });
      document.dispatchEvent(new CustomEvent("property:wanted", { detail: { ticket: this.ticket, place, go } }));
    }
  }
}

const idsOf = (tray) => [...tray.querySelectorAll("input[name=files]")].map((input) => Number(input.value));
