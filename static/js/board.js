/** The live board: what the server says now is fetched when something has happened, and every few seconds without being told. */

import "./elements/bulk-job.js";
import "./elements/live-feed.js";
import { Feed } from "./lib/feed.js";
import { arrange } from "./lib/keyed.js";
import { fill, nodes } from "./lib/nodes.js";
import { send, text } from "./lib/request.js";
import { writeTimes } from "./lib/time.js";
import { toast } from "./lib/toast.js";
import { language, word } from "./lib/words.js";

const EVERY_MS = 5000; // who is here, and which deadline has passed, nobody tells
const SOON_MS = 400; // many events in a row are one look
const AGAIN_MS = 2000; // the server answers equals with the same words for so long

const banner = document.querySelector("live-feed");
const board = document.getElementById("board");
const dialog = document.getElementById("board-move");
const job = document.querySelector("bulk-job");
let timer = null;

const feed = new Feed({
  url: banner.dataset.url,
  after: Number(banner.dataset.after),
  build: banner.dataset.build,
  language,
  ticket: () => null,
  on: {
    event: () => soon(),
    gone: () => soon(),
    resync: () => soon(),
    whisper: (topic, said) => { if (topic === "bulk") job.told(said); },
    signedOut: () => location.reload(),
    newBuild: () => banner.newBuild(),
    state(state) {
      document.body.dataset.live = state;
      banner.show(state);
    },
  },
});

function soon(ms = SOON_MS) {
  timer ??= setTimeout(refresh, ms);
}

async function refresh() {
  const html = document.hidden ? "" : await text(board.dataset.url).catch(() => null);
  timer = null;
  stale(html === null);
  if (!html) return;
  arrange(board, nodes(html)[0]);
  writeTimes(board);
  if (Number(board.dataset.after) < feed.after) soon(AGAIN_MS);
}

function stale(isSo) {
  board.toggleAttribute("data-stale", isSo);
  document.getElementById("board-stale").hidden = !isSo;
}

// -- Moving somebody's work -------------------------------------------------------------------------------------------

async function ask(url) {
  const form = await text(url).catch(() => null);
  if (form === null) {
    toast(word("failed"), { kind: "error" });
    return;
  }
  fill(dialog, nodes(form));
  dialog.showModal();
  dialog.querySelector("select").focus();
}

async function move(form) {
  const button = form.querySelector("[type=submit]");
  button.disabled = true;
  const answer = await send("POST", form.action, { form: new FormData(form) }).catch(() => null);
  button.disabled = false;
  const said = answer?.headers.get("Content-Type")?.includes("json") ? await answer.json() : null;
  if (!answer?.ok) {
    toast(said?.words ?? word("failed"), { kind: "error" });
    return;
  }
  dialog.close();
  toast(said.words, { undo: said.undo_url });
  job.follow(said);
}

board.addEventListener("click", (event) => {
  const button = event.target.closest("[data-move]");
  if (button) ask(button.dataset.move);
});
dialog.addEventListener("submit", (event) => {
  event.preventDefault();
  move(event.target);
});
for (const what of ["bulk:done", "undone"]) document.addEventListener(what, () => soon(0));
document.addEventListener("visibilitychange", () => { if (!document.hidden) soon(0); });
setInterval(() => soon(0), EVERY_MS);
feed.start();
