/** What every page starts. Screens add their own modules with `<script type="module">`. */

import { keys, labelControls } from "./lib/keyboard.js";
import { ahead, late } from "./lib/late.js";
import { startPanes } from "./lib/panes.js";
import { startDialogs, startPopovers } from "./lib/popover.js";
import { listen } from "./lib/request.js";
import { startTheme } from "./lib/theme.js";
import { startTimes } from "./lib/time.js";
import { undoLast } from "./lib/toast.js";
import "./elements/command-palette.js";
import "./elements/select-menu.js";
import "./elements/ticket-composer.js";
import "./elements/toast-region.js";

keys.on("undo.last", () => undoLast());
keys.listen();
startTheme();
startTimes();
startPopovers();
startDialogs();
startPanes();
labelControls();
document.querySelector(".pages__nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
const under = (address) => import(address);
ahead(late(() => import("./lib/tooltip.js"), under, ({ startTooltips }) => startTooltips(keys))); // nobody hovers before there is a picture
if (document.querySelector("notification-bell")) ahead(late(() => import("./elements/notification-bell.js"), under));
if (document.querySelector("shortcut-sheet")) ahead(late(() => import("./elements/shortcut-sheet.js"), under));
if (document.querySelector("pane-splitter")) ahead(late(() => import("./elements/pane-splitter.js"), under));
if (document.querySelector("code-block")) ahead(late(() => import("./elements/code-block.js"), under));
document.body.addEventListener("htmx:beforeSend", ({ detail: { elt, xhr } }) => {
  xhr.addEventListener("readystatechange", () => { // htmx says it to the element that asked, which may have gone by then
    if (xhr.readyState === XMLHttpRequest.DONE && !elt.isConnected) listen(xhr.getResponseHeader("HX-Trigger"));
  });
});
document.body.addEventListener("htmx:afterSettle", (event) => labelControls(event.target));
navigator.serviceWorker?.register("/service-worker.js").catch(() => {}); // a private window may refuse it
