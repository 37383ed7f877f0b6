/** Folding panes: nav and side are "open", "closed" or "" (what the width says). Kept on the server when the page names an address. */

import { keys } from "./keyboard.js";
import { keepChoice } from "./request.js";

function fold(name, isOpenByWidth) {
  const app = document.getElementById("app");
  if (!app) return false;
  const open = app.dataset[name] ? app.dataset[name] === "open" : isOpenByWidth;
  app.dataset[name] = open ? "closed" : "open";
  if (isOpenByWidth && app.dataset.savePanes) {
    const field = name === "nav" ? "nav" : "side_open";
    keepChoice(app.dataset.savePanes, { [field]: open ? "" : "on" });
  }
  return true;
}

/** What is folded away could not take the focus. */
function unfold(app, name) {
  const isFolded = ["nav", "side"].includes(name) && !document.getElementById(name)?.checkVisibility({ visibilityProperty: true });
  if (isFolded) app.dataset[name] = "open";
}

export function startPanes() {
  keys.on("nav.toggle", () => fold("nav", innerWidth >= 1440));
  keys.on("side.toggle", () => fold("side", innerWidth >= 1180));
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-fold]");
    if (button) keys.run(`${button.dataset.fold}.toggle`);
    const skip = event.target.closest(".skip-links a");
    const app = document.getElementById("app");
    if (app && skip) unfold(app, skip.hash.slice(1));
  });
  document.addEventListener("click", (event) => { // before anybody else hears of it: what the click opens stays open
    const app = document.getElementById("app");
    if (app && innerWidth < 1440 && app.dataset.nav === "open" && !event.target.closest(".pane--nav, [data-fold='nav']")) app.dataset.nav = "";
    if (app && innerWidth < 1180 && app.dataset.side === "open" && !event.target.closest(".pane--side, [data-fold='side'], dialog, [popover]")) app.dataset.side = "";
  }, true);
}
