/** The workspace: puts the list, the open ticket, the composer and what the server says by itself together. */

import "./elements/live-feed.js";
import "./elements/ticket-nav.js";
import { viewer } from "./elements/ticket-list.js";
import "./elements/query-box.js";
import "./elements/thread-log.js";
import { showMine, showMineIn, showStatus, startDays, startReverting } from "./lib/at-once.js";
import { startCustomer } from "./lib/customer.js";
import { Feed } from "./lib/feed.js";
import { keys, labelControls } from "./lib/keyboard.js";
import { isWriting } from "./lib/keys.js";
import { ahead, fetchMissing, late } from "./lib/late.js";
import { startMenus } from "./lib/menus.js";
import { keepRefused } from "./lib/mirror.js";
import { nodes, painted, replace } from "./lib/nodes.js";
import { phrase } from "./lib/phrases.js";
import { act, send, text } from "./lib/request.js";
import { Router } from "./lib/router.js";
import { SendQueue } from "./lib/send-queue.js";
import { toast } from "./lib/toast.js";
import { language, word } from "./lib/words.js";

const PREFETCH_MS = 150;
const HELD_MS = 120; // longer than between two strokes of a held key
const RENEW_MS = 500; // after an event: several in a row are one look
const LOOK_MS = 15_000; // between looks whether what is likely next has grown old
const CALM_MS = 120;
const TYPING_MS = 8000;
const CHANGES_HEAD = new Set(["assigned", "status_changed", "solved", "reopened", "closed", "priority_changed", "tags_changed", "fields_changed", "subject_changed", "pin_changed", "snoozed", "woken", "merged", "unmerged", "undone", "followers_changed", "sla_started", "sla_met", "sla_warning", "sla_breached", "message_received", "reply_posted", "rated", "routed"]);
const CHANGES_CUSTOMER = new Set(["customer_changed", "customer_joined", "customer_join_undone", "identity_added", "identity_opted_out", "identity_opted_in", "ticket_created", "merged", "unmerged", "rated"]);

const me = Number(document.body.dataset.me);
const byId = (id) => document.getElementById(id);
const list = () => document.querySelector("ticket-list");
const nav = () => document.querySelector("ticket-nav");
const thread = () => document.querySelector("thread-log");
const banner = document.querySelector("live-feed");

let desk = null;
let timers = {};
let wish = null; // {kind, ticket}: what is to be written where the composer has not come yet
let towards = 1; // the way that J and K went last: down, or -1

const later = (name, ms, run) => {
  clearTimeout(timers[name]);
  timers[name] = setTimeout(run, ms);
};

// What nobody uses in their first second comes when all else is there, or with its first use.
const under = (address) => import(address);
const bulkJob = late(() => import("./elements/bulk-job.js"), under, () => document.querySelector("bulk-job"));
const writing = late(() => import("./lib/desk.js"), under, (module) => { ({ Desk } = module); });
const uploading = late(() => import("./lib/uploading.js"), under);
const insertMenu = late(() => import("./elements/insert-menu.js"), under);
const formatBar = late(() => import("./elements/format-bar.js"), under);
const attendance = late(() => import("./lib/attendance.js"), under);
const givenBack = late(() => import("./lib/given-back.js"), under);
const takingUp = late(() => import("./lib/again.js"), under);
const filling = late(() => import("./lib/once-filled.js"), under);
const holding = late(() => import("./lib/held.js"), under, ({ Held }) => {
  held = new Held({
    desk: deskOf,
    thread: (ticket) => (ticket === router.ticket ? thread() : null),
    back: (ticket) => router.cache.drop(ticket),
    toTicket,
  });
  return held;
});
const playing = late(() => import("./lib/play.js"), under, ({ Play }) => {
  play = new Play({ list, open: (id) => router.open(id, { focus: "title" }), end: (said) => router.close({ said }), current: () => router.ticket });
  return play;
});
const telling = late(() => import("./lib/promising.js"), under);
const failed = () => toast(word("failed"), { kind: "error" });
const missed = () => {}; // what is on the screen is true without it

let Desk = null;
let held = null;
let play = null;
ahead(
  writing,
  holding,
  givenBack, // what is refused after the next release of ours has to find it
  late(() => import("./elements/bulk-bar.js"), under, ({ startBulkKeys }) => startBulkKeys()),
  bulkJob,
  late(() => import("./elements/snooze-menu.js"), under),
  late(() => import("./lib/forwarding.js"), under),
  telling,
  late(() => import("./lib/peeks.js"), under, ({ startPeeks }) => startPeeks()),
  late(() => import("./lib/new-options.js"), under, ({ startNewOptions }) => startNewOptions()),
  late(() => import("./lib/activity.js"), under, ({ startActivity }) => startActivity()),
);

const router = new Router({ isLive: () => feed.state === "live", writing });
const feed = new Feed({
  url: banner.dataset.url,
  after: Number(banner.dataset.after),
  build: banner.dataset.build,
  language,
  ticket: () => router.ticket,
  attendance,
  on: {
    event: happened,
    gone: lost,
    resync: renew,
    whisper: whispered,
    signedOut: () => location.reload(),
    newBuild: () => banner.newBuild(),
    polled: () => list()?.ask(list().all.map((row) => row.dataset.ticket)),
    async state(state) {
      document.body.dataset.live = state;
      if (state === "live") {
        fetchMissing();
        router.complete();
        queue.flush();
        desk?.flush();
      }
      const loaded = state === "live" ? await feed.catchUp() : 0;
      if (feed.state === state) banner.show(state, loaded); // it may be away again by now
    },
  },
});

// -- What is being sent ---------------------------------------------------------------------------------------------------

const queue = new SendQueue({
  name: `queue:${me}`,
  on: {
    changed() {
      banner.waits(queue.entries.length);
      showWaiting();
    },
    sent(entry, html, message) {
      if (entry.ticket === router.ticket) thread()?.apply([html]);
      went(entry, message);
    },
    held(entry, html) {
      went(entry);
      holding().then(() => held.show(entry.ticket, nodes(html)[0]), missed);
    },
    async refused(entry, answer, files) {
      keepRefused(entry, me);
      router.cache.drop(entry.ticket);
      if (entry.ticket === router.ticket && !desk) await composerReady();
      const back = await givenBack().catch(missed);
      if (!back) toast(word("notTaken"), { kind: "error", action: toTicket(entry.ticket) });
      back?.giveBack(entry, answer, files, { me, desk: () => deskOf(entry.ticket), toTicket, mark: (ticket, draft) => list()?.mark(ticket, { draft }) });
    },
  },
});

const composerReady = () => new Promise((resolve) => {
  document.addEventListener("composer:ready", resolve, { once: true });
  setTimeout(resolve, 3000);
});
const deskOf = (ticket) => (desk?.ticket === ticket ? desk : null);

/** It is the server's now. */
function went(entry, message) {
  const { ticket } = entry;
  router.cache.drop(ticket); // its composer shows what is held
  if (deskOf(ticket)) {
    desk.went(entry, message);
    return;
  }
  feed.nudge();
  givenBack().then(({ keepRest }) => keepRest(entry, me, queue.of(ticket, entry.kind).length > 0), missed);
}

/** What a toast says of another ticket leads there. */
function toTicket(ticket) {
  return { words: phrase("toTicket"), run: () => router.open(ticket) };
}

/** What is on its way, at the end of the open thread. */
function showWaiting() {
  const known = [...document.querySelectorAll("#thread-log > [data-waits]")];
  const entries = queue.of(router.ticket);
  document.querySelector("ticket-composer")?.toggleAttribute("busy", entries.some(({ waits }) => !waits));
  const nameOf = ({ kind, revision, waits = false }) => `${kind} ${revision} ${waits}`;
  if (String(entries.map(nameOf)) === String(known.map(({ dataset }) => dataset.waits))) return; // whoever reads further up stays there
  for (const bubble of known) bubble.remove();
  for (const entry of entries) {
    const bubble = thread()?.pending(entry.text, { note: entry.kind === "note" });
    if (!bubble) return;
    bubble.dataset.waits = nameOf(entry);
    if (entry.waits) bubble.querySelector(".delivery span").textContent = word("waits");
  }
}

document.addEventListener("reload:asked", async () => {
  await desk?.flush();
  location.reload();
});

// -- What the server says ---------------------------------------------------------------------------------------------

/** Heard again with a catch-up, `isNew` is false: it is drawn as it is now, and nothing more is asked for. */
function happened(event, isNew) {
  const open = router.ticket;
  if (play) play.isMine = event.actor === me;
  if (event.html?.row) list()?.apply(event.html.row);
  if (event.absorbed) list()?.gone(event.absorbed); // it is shown with the ticket that it was merged into
  if (event.actor === me && event.kind === "reply_posted" && held?.has(event.ticket)) held.gone(event.ticket);
  if (event.kind === "draft_stopped") held?.stopped(event.ticket);
  if (event.ticket === open && event.html?.items) {
    const sent = event.actor === me && { reply_posted: "reply", note_posted: "note" }[event.kind];
    if (sent && !byId(`message-${event.message}`)) thread()?.querySelector(`:scope > [data-waits^="${sent}"]`)?.remove(); // it comes in its place
    thread()?.apply(event.html.items);
    if (event.kind === "message_received") customerTyping(open, false);
    if (event.actor === me && !event.message && thread()) byId("ticket").dataset.seenAt = thread().newestAt; // one's own deed is no news
    markRead();
  } else if (event.ticket) {
    router.cache.drop(event.ticket);
    later("renew", RENEW_MS, lookAhead); // it may be the next one
  }
  if (!isNew) return;
  if (!event.ticket) router.cache.customersChanged();
  if (event.ticket === open && (CHANGES_HEAD.has(event.kind) || event.kind.startsWith("promise_"))) later("head", CALM_MS, refreshHead);
  if (open && CHANGES_CUSTOMER.has(event.kind) && isAboutOurs(event)) later("customer", CALM_MS, refreshCustomer);
  nav()?.refreshSoon();
}

/** Whether it concerns the customer of the open ticket, be the card there yet or not: what happens to others is no request of ours. */
function isAboutOurs({ customer, joined }) {
  const ours = (byId("customer-card") ?? byId("ticket")).dataset.customer; // the card is newer: customers are joined
  return [customer, joined].includes(Number(ours));
}

function lost(ticket) {
  list()?.gone(ticket);
  router.cache.forget(ticket);
  if (router.ticket === ticket) router.close({ said: phrase("gone") });
}

function whispered(topic, it) {
  if (topic === "presence") {
    list()?.present(it.ticket, it.people);
    if (it.ticket === router.ticket) showViewers(it.people);
  } else if (topic === "customer_typing") {
    list()?.customerTyping(it.ticket, it.on);
    if (it.ticket === router.ticket) customerTyping(it.ticket, it.on);
  } else if (topic === "notified") {
    document.dispatchEvent(new CustomEvent("notified"));
  } else if (topic === "read") {
    list()?.mark(it.ticket, { read: it.message });
  } else if (topic === "wrap_up") {
    document.body.dispatchEvent(new Event("wrap-up"));
  } else if (topic === "bulk") {
    bulkJob().then((job) => job?.told(it), missed);
  } else if (topic === "draft") {
    if ("text" in it) list()?.mark(it.ticket, { draft: it.text });
    if (!it.stopped) return;
    held?.stopped(it.ticket);
    toast(phrase(it.side ? "forwardStopped" : "draftStopped"), { kind: "error", action: it.ticket === router.ticket ? null : toTicket(it.ticket) });
  }
}

function showViewers(people) {
  const place = byId("viewers");
  if (!place) return;
  const others = people.filter((person) => person.id !== me);
  place.dataset.replying = others.filter((person) => person.doing === "replying").map((person) => person.name).join(", ");
  place.replaceChildren(...others.slice(0, 4).map((person) => viewer(person)));
  const busy = others.find((person) => person.doing === "replying") ?? others.find((person) => person.doing === "noting") ?? others[0];
  if (!busy) return;
  const words = document.createElement("span");
  words.className = "presence__words truncate";
  words.textContent = phrase(busy.doing, { names: others.filter((person) => person.doing === busy.doing).map((person) => person.name).join(", ") });
  place.append(words);
}

function customerTyping(ticket, on) {
  const line = byId("typing-line");
  if (!line || (!on && line.hidden)) return;
  const end = thread()?.isAtEnd;
  line.hidden = !on;
  line.querySelector("[data-words]").textContent = on ? phrase("customerTyping", { name: document.querySelector(`#head-${ticket} .thread-head p .truncate`)?.textContent ?? "" }) : "";
  if (end) thread().toEnd();
  if (on) later("typing", TYPING_MS, () => customerTyping(ticket, false));
}

/** Whether a menu is open in this place, or something is being typed; what it would have shown comes when that is over. */
function isInUse(place) {
  const over = place.querySelector(":popover-open") ? "toggle" : place.querySelector(".property__input:focus") ? "focusout" : "";
  if (over) place.addEventListener(over, () => later("head", CALM_MS, refreshHead), { capture: true, once: true });
  return Boolean(over);
}

document.addEventListener("htmx:oobBeforeSwap", ({ detail }) => { detail.shouldSwap &&= !isInUse(detail.target); });

/** All that is shown, as the server tells it now: more was missed than can be told. */
function renew() {
  router.refresh();
  refreshHead();
  refreshCustomer();
}

/** Something happened on the ticket while it was fetched. */
document.addEventListener("ticket:overtaken", () => {
  router.refreshThread();
  refreshHead();
  refreshCustomer();
});

async function refreshHead() {
  const id = router.ticket;
  if (!id) return;
  const html = await text(`/tickets/${id}/properties/`).catch((error) => (error.status === 404 ? lost(id) : null));
  if (!html || router.ticket !== id) return;
  for (const node of nodes(html)) {
    const place = byId(node.id);
    if (!place) continue;
    if (node.dataset.note !== undefined && node.dataset.note === place.dataset.note) continue; // the pinned note, as it was: folded or not
    if (isInUse(place)) continue;
    if (place.querySelector(".htmx-request")) { // what was chosen in it is on its way, and its answer says how to undo it
      later("head", CALM_MS, refreshHead);
      continue;
    }
    const people = [...(place.querySelector("#viewers")?.childNodes ?? [])];
    const focused = place.querySelector(":focus");
    replace(place, node);
    (byId(focused?.id) ?? (focused?.matches("summary") ? node.querySelector("summary") : null))?.focus({ preventScroll: true });
    if (people.length) node.querySelector("#viewers")?.replaceChildren(...people);
    labelControls(node);
  }
}

async function refreshCustomer() {
  const id = router.ticket;
  if (customer.later(refreshCustomer)) return;
  const html = id && await text(`/tickets/${id}/customer/`).catch(() => null);
  if (html && router.ticket === id && !customer.later(refreshCustomer)) router.showCustomer(html);
}

// -- The open ticket ------------------------------------------------------------------------------------------------------

document.addEventListener("ticket:opening", ({ detail }) => list()?.current(detail.ticket));
document.addEventListener("ticket:opened", ({ detail: { ticket } }) => arrived(ticket));
document.addEventListener("ticket:leaving", ({ detail: { ticket } }) => {
  desk?.leave();
  desk = null;
  held?.left(ticket);
  router.cache.drop(ticket);
});
document.addEventListener("thread:renewed", markRead);
document.addEventListener("ticket:closed", () => {
  feed.view(null);
  list()?.current(null);
});
document.addEventListener("composer:ready", ({ detail: { ticket } }) => {
  const composer = document.querySelector("#composer-place ticket-composer");
  if (!composer) return;
  byId("ticket").toggleAttribute("data-choice", Boolean(composer.querySelector(".composer[data-choice]"))); // of ways to the customer
  desk = new Desk(composer, {
    ticket,
    thread,
    doing: (what) => feed.view(ticket, what),
    after(then) {
      feed.nudge();
      nav()?.refreshSoon();
      if (then === "solved" && "solveOpensNext" in document.body.dataset && router.ticket === ticket && !router.heading) onwards(list()?.nextAfter(ticket));
    },
    queue,
    uploading,
  });
  ahead(uploading, insertMenu, formatBar); // when one can write; what one types first is read as well
  const waiting = composer.querySelector("template[data-held]")?.content.firstElementChild;
  holding().then(() => { if (router.ticket === ticket) held.arrived(ticket, waiting && document.importNode(waiting, true)); }, missed);
  labelControls(composer);
  if (wish?.ticket === ticket) composer.show(wish.kind);
  wish = null;
  markRead();
});
document.addEventListener("list:shown", () => {
  list()?.current(router.heading ?? router.ticket);
  nav()?.show(router.list?.name);
  count();
});
document.addEventListener("nav:counted", count);
document.addEventListener("acted", () => feed.nudge());
document.addEventListener("snooze:chosen", ({ detail: { until, snooze } }) => foreseen(router.ticket, { until }, snooze()));
document.addEventListener("ticket:gone", ({ detail }) => lost(detail.ticket));
document.body.addEventListener("undone", () => feed.nudge());
document.body.addEventListener("htmx:afterRequest", () => feed.nudge());
document.body.addEventListener("htmx:beforeSwap", ({ detail: { target } }) => { // "I'm ready" goes with its press, and the focus stays beside it
  if (target.id === "my-presence" && target.contains(document.activeElement)) byId("presence-button").focus();
});

async function arrived(ticket) {
  list()?.current(ticket);
  showWaiting();
  await painted(); // what one reads first is seen first
  if (router.ticket !== ticket) return;
  feed.view(ticket);
  labelControls(byId("ticket"));
  markRead();
  later("prefetch", PREFETCH_MS, lookAhead);
  showPeople(ticket);
}

/** What J, K and E would show, as it is now: however long one reads and writes, the next ticket is there. The likelier one first. */
async function lookAhead() {
  for (const by of [towards, -towards]) if (!document.hidden && router.ticket) await router.cache.prefetch(list()?.idAt(by));
}

setInterval(() => { if (feed.state === "live") lookAhead(); }, LOOK_MS);

async function showPeople(ticket) {
  const answer = await text(`/marks/?ids=${ticket}`).catch(() => null);
  if (answer && router.ticket === ticket) showViewers(JSON.parse(answer).people[ticket] ?? []);
}

/** What is on the screen of somebody who looks is read, and seen before an answer. */
function markRead() {
  const place = byId("ticket");
  const [newest, at] = [thread()?.newest, thread()?.newestAt];
  if (!newest || document.hidden) return;
  if (thread().isAtEnd) desk?.shows(newest);
  if (Number(place.dataset.marked ?? place.dataset.read) >= newest && Number(place.dataset.seenAt ?? (Date.parse(place.dataset.readAt) || 0)) >= at) return;
  place.dataset.marked = newest;
  place.dataset.seenAt = at;
  list()?.mark(router.ticket, { read: newest });
  send("POST", place.dataset.mark, { form: { message: newest } }).catch(() => {});
}

function count() {
  const place = byId("list-count");
  if (place && router.list) place.textContent = nav()?.countOf(router.list.name) ?? "";
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) desk?.flush({ leaving: true });
  else {
    markRead();
    if (feed.state === "live") lookAhead();
  }
});
addEventListener("pagehide", () => desk?.leave());

// -- Clicks -------------------------------------------------------------------------------------------------------------------

document.addEventListener("list:open", ({ detail }) => router.open(detail.ticket));
document.addEventListener("list:asked", ({ detail }) => router.showList(detail.url));
document.addEventListener("list:near", ({ detail }) => router.cache.prefetch(detail.ticket));
document.addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
  const link = event.target.closest("a[href]");
  const ticket = link && !link.hash && /^\/tickets\/(\d+)\/$/.exec(link.pathname); // a hash is a place on this page
  const again = event.target.closest("[data-again]");
  const note = event.target.closest("[data-pin]")?.dataset.pin;
  if (note) {
    pin(router.ticket, note === byId(`pinned-${router.ticket}`).dataset.note ? null : note);
  } else if (event.target.closest("[data-unpin]")) {
    pin(router.ticket, null);
  } else if (again && desk) {
    takingUp().then(({ takeUp }) => takeUp(desk, again), failed);
  } else if (event.target.closest("[data-reopen]")) {
    act("DELETE", `/tickets/${router.ticket}/solution/`).then(refreshHead);
  } else if (event.target.closest("[data-follow]")) {
    act(event.target.closest("[data-follow]").dataset.follow, `/tickets/${router.ticket}/follower/`).then(refreshHead);
  } else if (link?.matches("[data-back]")) {
    event.preventDefault();
    back();
  } else if (link?.matches("[data-list]")) {
    event.preventDefault();
    router.showList(link.pathname + link.search);
  } else if (ticket && !link.closest(".row")) {
    event.preventDefault();
    router.open(Number(ticket[1]));
  }
});

function back() {
  if (!isAtTicket()) return false;
  router.close();
  return true;
}

const customer = startCustomer({ refresh: refreshCustomer, savePanes: byId("app").dataset.savePanes });
document.body.addEventListener("customer:changed", () => router.cache.customersChanged()); // what was fetched ahead shows it too

// -- Keys -----------------------------------------------------------------------------------------------------------------------

/** The ticket that a key means: the one that comes or is open, else the highlighted one. */
const meant = () => router.heading ?? router.ticket ?? (Number(list()?.place?.dataset.ticket) || null);
const isMeant = { when: () => Boolean(meant()) };
const isAtTicket = () => Boolean(router.heading ?? router.ticket);

/** A held key runs along the rows; the one on which it ends is opened. */
function step(by, event) {
  const id = list()?.idAt(by);
  if (!id) return false;
  towards = by;
  clearTimeout(timers.step);
  if (isAtTicket() && event?.repeat) {
    router.heads(id);
    list().current(id);
    later("step", HELD_MS, () => { if (router.heading === id) router.open(id); });
  } else if (isAtTicket()) router.open(id);
  else {
    const focused = document.activeElement;
    if (!list().contains(focused)) focused?.blur(); // Enter is meant for the row now, not for the button pressed before
    list().highlight(id);
    later("prefetch", PREFETCH_MS, () => router.cache.prefetch(id));
  }
  return true;
}

/** Something is wanted on it first: its property opens, and `go` runs once it is filled in. Nobody is led away from what they write elsewhere. */
async function askFor({ ticket, place, said, go }) {
  if (ticket !== router.ticket && isWriting(document.activeElement)) {
    toast(said, { kind: "error", action: toTicket(ticket) });
    return;
  }
  const once = await filling().catch(failed);
  if (ticket !== router.ticket && !(await hushed(router.open(ticket)))) return;
  if (!byId(place)) await refreshHead(); // it is wanted since a moment ago
  await press(`#${place}-button, #${place}-value`);
  if (go && byId(place)) once?.onceFilled(byId(place), go);
}

document.addEventListener("property:wanted", ({ detail }) => {
  askFor({ ...detail, go: detail.go ?? (detail.solves && (() => solve({ stay: true, id: detail.ticket }))) });
});

/** `id` where it was asked for a while ago: another ticket may be open by now, and stays. */
async function solve({ stay, id = meant() }) {
  const isOpen = id === router.ticket;
  const isNext = id === meant();
  const lacking = isOpen && document.querySelector(".property[data-lacks]");
  if (lacking) {
    askFor({ ticket: id, place: lacking.id, go: () => solve({ stay, id }) });
    return;
  }
  const next = stay ? null : list()?.nextAfter(id);
  const answered = queue.settled(id).then((isAnswered) => {
    if (isAnswered) return act("POST", `/tickets/${id}/solution/`);
    toast(phrase("notSolved"), { kind: "error" });
    return null;
  });
  const solving = foreseen(id, { status: "solved" }, answered, stay && isOpen ? showStatus("solved") : undefined);
  if (!stay && isNext && isAtTicket()) onwards(next);
  else if (next && isNext) list().highlight(next);
  await solving;
  if (stay) refreshHead();
}

/** What is being done to a ticket stands in the list at once; all is as it was where the server does not do it. `back()` does that beside the list. */
async function foreseen(id, facts, doing, back = () => {}) {
  if (play) play.isMine = true;
  const place = list();
  const settle = place?.foresee(id, facts);
  const isDone = Boolean(await doing);
  if (place === list()) settle?.(isDone);
  if (isDone) {
    list()?.refreshEmpty(); // only now does the server know that it is empty
    return;
  }
  back();
  if (feed.state === "live" && id === router.ticket) refreshHead(); // others may have been faster
}

/** To the next ticket, or to the end of the list. */
function onwards(next) {
  if (next) {
    router.open(next, { focus: "title" });
    return;
  }
  router.close();
  // Not as a toast: the server's own says what happened, and how to undo it.
  byId("ticket").querySelector(".empty p").textContent = phrase("lastTicket");
}

/** `note`: an id, "" for the newest one, null for none. */
async function pin(id, note) {
  await (note === null ? act("DELETE", `/tickets/${id}/pin/`) : act("POST", `/tickets/${id}/pin/`, { note }));
  refreshHead();
}

/** Press a control of the side pane, which may have to be opened for it, or the ticket first. */
async function press(selector) {
  const id = meant();
  if (router.ticket !== id && !(await hushed(router.open(id)))) return;
  const app = byId("app");
  const control = document.querySelector(selector);
  if (control && !control.checkVisibility({ visibilityProperty: true })) app.dataset.side = "open";
  control?.click();
  if (control?.matches("input")) control.focus();
  document.getElementById(control?.getAttribute("popovertarget"))?.querySelector("[role=combobox]")?.focus();
}

/** Until it is there, what is typed is meant for it and must not be taken for commands. */
async function hushed(coming) {
  const hush = (event) => {
    keys.heard(event);
    event.preventDefault();
    event.stopImmediatePropagation();
  };
  for (const name of ["keydown", "keyup"]) addEventListener(name, hush, true);
  try {
    return await coming;
  } finally {
    for (const name of ["keydown", "keyup"]) removeEventListener(name, hush, true);
  }
}

async function write(kind) {
  const ticket = meant();
  const asked = { kind, ticket };
  wish = asked;
  const ready = composerReady();
  const opened = router.ticket === ticket ? router.complete() : router.open(ticket);
  await hushed(Promise.resolve(opened).then((isOpen) => (isOpen === false ? null : ready)));
  if (wish === asked) wish = null; // it did not come
}

keys.on("list.next", (event) => step(1, event));
keys.on("list.previous", (event) => step(-1, event));
keys.on("list.select", () => list()?.toggleSelected() ?? false);
keys.on("list.extend_down", () => list()?.extendSelected(1) ?? false);
keys.on("list.extend_up", () => list()?.extendSelected(-1) ?? false);
keys.on("list.select_all", () => list()?.selection.all());
keys.on("list.select_none", () => list()?.selection.none());
keys.on("play.start", () => { playing().then(() => play.toggle(), failed); });
keys.on("go.view", (event) => {
  const link = nav()?.numbered(/\d/.exec(event?.key ?? "")?.[0] ?? "");
  if (!link) return false;
  router.showList(link.pathname);
  return true;
});
keys.on("list.open", () => list()?.openRow() ?? false, { when: () => !isAtTicket() });
keys.on("list.back", back, { when: isAtTicket });
keys.on("ticket.take", async () => {
  const id = meant();
  const taking = act("POST", `/tickets/${id}/assignee/`, { assignee: "me" });
  const done = foreseen(id, { assignee: String(me) }, taking, router.ticket === id ? showMine() : undefined);
  showMineIn(list()?.row(id));
  await done;
  refreshHead();
}, isMeant);
keys.on("ticket.solve_next", () => { solve({ stay: false }); }, isMeant);
keys.on("ticket.solve", () => { solve({ stay: true }); }, isMeant);
const bulkBar = () => document.querySelector("bulk-bar"); // it comes with its list, for those who may answer
keys.on("ticket.spam", () => {
  const id = meant();
  const next = list().nextAfter(id);
  foreseen(id, { status: "solved" }, bulkBar().run("spam", "", { ids: [id] }));
  if (next && id !== router.ticket) list().highlight(next);
}, { when: () => Boolean(meant() && bulkBar()?.run) });
keys.on("ticket.pin", async () => {
  const id = meant();
  const pinned = byId(`pinned-${id}`)?.dataset.note ?? "";
  const focused = id === router.ticket ? document.activeElement : null;
  const note = focused?.closest(".message--note")?.id.slice("message-".length) ?? "";
  await pin(id, pinned && (!note || note === pinned) ? null : note);
}, isMeant);
keys.on("ticket.unread", async () => {
  const id = meant();
  if (await act("DELETE", `/tickets/${id}/mark/`)) toast(phrase("unread"));
  if ((router.heading ?? router.ticket) === id) router.close();
}, isMeant);
for (const [command, selector] of [["assign", "#property-assignee-button"], ["team", "#property-team-button"], ["status", "#property-status-button"], ["priority", "#property-priority-button"], ["tags", "#property-tags-button"], ["snooze", "[popovertarget='snooze-menu']"]]) {
  keys.on(`ticket.${command}`, () => { press(selector); }, isMeant);
}
for (const kind of ["reply", "note"]) keys.on(`ticket.${kind}`, () => { write(kind); }, isMeant);
for (const command of ["ticket.forward", "ticket.promise"]) {
  keys.on(command, async () => {
    if (await hushed(router.open(meant()))) keys.run(command);
  }, { when: () => meant() !== router.ticket });
}
document.addEventListener("click", (event) => {
  // Buttons of the head stand for a key of ours.
  const button = event.target.closest("[data-command='ticket.take'], [data-command='ticket.solve_next'], [data-command='ticket.solve'], [data-command='ticket.unread'], [data-command='ticket.pin'], [data-command='play.start']");
  if (button && !button.closest("[data-leaves]")) keys.run(button.dataset.command);
});

startReverting(() => refreshHead());
startDays();

// -- Views and deeds on many ---------------------------------------------------------------------------------------------------

document.body.addEventListener("view:saved", ({ detail }) => {
  byId("view-dialog").close();
  if (detail.url) router.showList(detail.url);
  else if (router.list?.name === `view-${detail.left}`) router.showList("/");
});
document.body.addEventListener("promise:done", ({ detail }) => {
  byId("promise").close();
  if (detail.words) telling().then(({ tell }) => tell(detail, { desk: deskOf, toTicket }), failed);
});
document.body.addEventListener("template:sent", () => byId("template-dialog").close());
document.addEventListener("bulk:started", ({ detail }) => bulkJob().then((job) => job?.follow(detail), missed));
document.addEventListener("bulk:done", () => { nav()?.refreshSoon(); feed.nudge(); });

document.querySelector("command-palette")?.sources.push(async (query, signal) => {
  const found = JSON.parse(await text(`/palette/?q=${encodeURIComponent(query)}`, { signal }));
  return [
    ...found.tickets.map(({ label, hint, url }) => ({ label, hint, run: () => router.open(Number(/\d+/.exec(url)[0])) })),
    ...found.customers.map(({ label, hint, url }) => ({ label, hint, run: () => location.assign(url) })),
  ];
});

startMenus();
router.start();
feed.start();
queue.flush();
banner.waits(queue.entries.length);
if (router.ticket) arrived(router.ticket);
count();
