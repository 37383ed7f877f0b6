/** What every page starts. Screens add their own modules with `<script type="module">`. */

import { keys, labelControls } from "./lib/keyboard.js";
import { startPanes } from "./lib/panes.js";
import { startDialogs, startPopovers } from "./lib/popover.js";
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
import("./lib/tooltip.js").then(({ startTooltips }) => startTooltips(keys)); // nobody hovers before there is a picture
labelControls();
document.querySelector(".pages__nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
if (document.querySelector("notification-bell")) import("./elements/notification-bell.js");
if (document.querySelector("shortcut-sheet")) import("./elements/shortcut-sheet.js");
if (document.querySelector("pane-splitter")) import("./elements/pane-splitter.js");
if (document.querySelector("code-block")) import("./elements/code-block.js");
document.body.addEventListener("htmx:afterSettle", (event) => labelControls(event.target));
navigator.serviceWorker?.register("/service-worker.js").catch(() => {}); // a private window may refuse it
