/**
 * Keys: which stroke does what. One registry feeds the keyboard, the `?` sheet, the palette, tooltips and aria-keyshortcuts.
 *
 * A stroke is matched by the printed key when that is ASCII, else by the physical one, so that J works in Hangul mode, on AZERTY and
 * on Dvorak. Single keys never act in a field, an open dialog or menu, or with a modifier; held keys repeat only where they may.
 */

const SHIFTED = { Slash: "?", Digit1: "!", Digit8: "*", Digit3: "#" };
const PLAIN = { Slash: "/", Period: ".", Comma: ",", BracketLeft: "[", BracketRight: "]" };
const NAMED = new Set(["Enter", "Escape", "ArrowDown", "ArrowUp", "ArrowLeft", "ArrowRight", "Tab", "Home", "End"]);
const ALTERED = new Set([..."[]?!*#/.,"]);
const SEQUENCE_MS = 1200;
const FOCUS_REST_MS = 500;

export const isMac = /Mac|iPhone|iPad/.test(navigator.platform || "");

/** The letter or sign of an event, lower case: printed if ASCII, else physical; null when there is none. */
export function letter(event) {
  if (/^[\x21-\x7e]$/.test(event.key)) return event.key.toLowerCase();
  const code = event.code || "";
  if (/^Key[A-Z]$/.test(code)) return code[3].toLowerCase();
  return (event.shiftKey ? SHIFTED[code] : PLAIN[code]) ?? null;
}

/** An event as text: "j", "shift+j", "mod+enter", "?"; null when it is no stroke of ours (a bare modifier, Alt with a letter). */
export function stroke(event) {
  // Many layouts print brackets only with AltGr (QWERTZ, AZERTY) or Option; what is printed counts.
  if (event.altKey || event.getModifierState?.("AltGraph")) return ALTERED.has(event.key) && !event.metaKey ? event.key : null;
  const name = NAMED.has(event.key) ? event.key.toLowerCase() : letter(event);
  if (!name) return null;
  const mod = isMac ? event.metaKey : event.ctrlKey;
  if (isMac ? event.ctrlKey : event.metaKey) return null;
  const shows = /^[a-z]$/.test(name) || name.length > 1;
  return `${mod ? "mod+" : ""}${event.shiftKey && shows ? "shift+" : ""}${name}`;
}

/** "Mod+Shift+Enter" or "G I" as a list of strokes. */
function parse(keys) {
  return keys.trim().split(/\s+/).map((part) => {
    const pieces = part.split("+").map((piece) => piece.toLowerCase());
    const name = pieces.at(-1);
    return `${pieces.includes("mod") ? "mod+" : ""}${pieces.includes("shift") ? "shift+" : ""}${name}`;
  });
}

/** Whether the event comes from a place where one writes. */
export function isWriting(target) {
  const field = target?.closest?.("input, textarea, select, [contenteditable]:not([contenteditable='false'])");
  return Boolean(field && !isFading(field));
}

/** In a menu or dialog that is closed and keeps the focus as long as it fades. */
function isFading(target) {
  return Boolean(target?.closest?.("[popover]:not(:popover-open), dialog:not([open])"));
}

function isCovered(root) {
  return Boolean(root.querySelector("dialog[open]") || [...root.querySelectorAll(".menu[popover]")].some((menu) => menu.matches(":popover-open")));
}

export class Keys {
  #commands = new Map();
  #handlers = new Map();
  #started = null; // {strokes, at} of a sequence under way
  #seen = new Set(); // codes whose keydown told us enough
  #restUntil = 0;

  /** `now` gives milliseconds; tests pass their own clock. */
  constructor({ single = true, commands = [], root = document, now = () => performance.now() } = {}) {
    this.single = single;
    this.root = root;
    this.now = now;
    for (const command of commands) this.define(command);
  }

  /** A command: {id, keys, label, group, scope, repeats}. */
  define(command) {
    this.#commands.set(command.id, { scope: "workspace", repeats: false, ...command, strokes: command.keys.map(parse) });
  }

  /** Let `run(event)` do what the command `id` says; returns how to take it back. The latest one wins. */
  on(id, run, { when = () => true } = {}) {
    const handler = { run, when };
    this.#handlers.set(id, [handler, ...(this.#handlers.get(id) ?? [])]);
    return () => this.#handlers.set(id, this.#handlers.get(id).filter((other) => other !== handler));
  }

  get commands() {
    return [...this.#commands.values()];
  }

  command(id) {
    return this.#commands.get(id);
  }

  /** Hear keys of a document: the page's own, and those of the mail frames inside it. */
  listen(target = document) {
    target.addEventListener("keydown", (event) => this.keydown(event));
    target.addEventListener("keyup", (event) => this.keyup(event));
    target.defaultView?.addEventListener("focus", () => this.rest());
  }

  /** After the window gets the focus, a keyup may belong to a keydown that happened elsewhere. */
  rest() {
    this.#restUntil = this.now() + FOCUS_REST_MS;
    this.#seen.clear();
  }

  keydown(event) {
    if (isFading(event.target)) event.target.blur(); // what is pressed now is meant for the page
    if (stroke(event)) this.#seen.add(event.code || event.key);
    this.#press(event);
  }

  /** It was meant for something else: no command, and neither is the keyup that is still to come. */
  heard({ type, code, key }) {
    this.#seen[type === "keydown" ? "add" : "delete"](code || key);
  }

  /** Some Linux input methods swallow the keydown of a letter: its keyup then stands in. */
  keyup(event) {
    const known = this.#seen.delete(event.code || event.key);
    if (known || this.now() < this.#restUntil || event.ctrlKey || event.metaKey) return;
    if (/^(shift\+)?[a-z]$/.test(stroke(event) ?? "")) this.#press(event);
  }

  #press(event) {
    if (event.defaultPrevented || event.isComposing && isWriting(event.target)) return;
    const pressed = stroke(event);
    if (!pressed) return;
    const fresh = this.#started && this.now() - this.#started.at < SEQUENCE_MS ? this.#started.strokes : [];
    const path = [...fresh, pressed];
    const found = this.#find(path, event) ?? (fresh.length ? this.#find([pressed], event) : null);
    this.#started = null;
    if (found?.complete) {
      if (event.repeat && !found.command.repeats) return;
      if (this.run(found.command.id, event)) event.preventDefault();
    } else if (found) {
      this.#started = { strokes: found.path, at: this.now() };
      event.preventDefault();
    }
  }

  /** The command of these strokes here, or the beginning of one. */
  #find(path, event) {
    let beginning = null;
    for (const command of this.#commands.values()) {
      if (!this.#mayAct(command, path, event)) continue;
      for (const strokes of command.strokes) {
        if (path.some((part, i) => strokes[i] !== part)) continue;
        if (strokes.length > path.length) beginning = { command, path, complete: false };
        else if (this.#runner(command.id)) return { command, path, complete: true };
      }
    }
    return beginning;
  }

  #mayAct(command, path, event) {
    const inComposer = Boolean(event.target?.closest?.("[data-scope='composer']"));
    if (command.scope === "composer") return inComposer;
    if (path[0].startsWith("mod+") && event.target?.closest?.("dialog[open]")) return false;
    if (path[0].startsWith("mod+") && command.scope === "anywhere") return true;
    if (path[0].length === 1 || path[0].startsWith("shift+")) if (!this.single) return false;
    if (isWriting(event.target) || isCovered(this.root)) return false;
    if (/^(enter|arrow)/.test(path[0]) && event.target?.closest?.("a, button, summary, [role='separator'], [role='tab'], .pages")) {
      // The focused control keeps its own keys, but arrows and Enter on a ticket's row are ours.
      if (!event.target.closest(".row")) return false;
    }
    return command.scope === "anywhere" || Boolean(this.root.querySelector(`[data-scope~='${command.scope}']`));
  }

  /** Run a command: its newest willing handler, else its visible control. False when the page has neither. */
  run(id, event = null) {
    const runner = this.#runner(id);
    if (!runner) return false;
    return runner(event) !== false;
  }

  can(id) {
    return Boolean(this.#runner(id));
  }

  #runner(id) {
    const handler = (this.#handlers.get(id) ?? []).find((candidate) => candidate.when());
    if (handler) return handler.run;
    const control = [...this.root.querySelectorAll(`[data-command='${id}']`)].find(
      (element) => !element.disabled && element.getAttribute("aria-disabled") !== "true" && (element.checkVisibility?.() || element.closest("[popover]")),
    );
    return control ? () => (control.querySelector("input[type=radio]") ?? control).click() : null;
  }
}

const SIGNS = { mod: isMac ? "⌘" : "Ctrl", shift: "⇧", enter: "↵", escape: "Esc", arrowdown: "↓", arrowup: "↑", arrowleft: "←", arrowright: "→" };

/** <kbd> elements of "Mod+Enter" or "G I". */
export function keyCaps(keys) {
  const parts = keys.split(/[+\s]+/).filter(Boolean);
  return parts.map((part) => {
    const cap = document.createElement("kbd");
    cap.textContent = SIGNS[part.toLowerCase()] ?? part;
    return cap;
  });
}

/** What aria-keyshortcuts wants: "Control+Enter", "G I". */
export function ariaKeys(command) {
  return command.keys.map((keys) => keys.replace(/\bMod\b/g, isMac ? "Meta" : "Control")).join(" ");
}
