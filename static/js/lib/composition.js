/**
 * Enter that sends, right for input methods: one press, one message.
 *
 * Hangul has no candidate window, so Enter during composition means "send": it is remembered and sent when the composition ends, after
 * the field has its last syllable. For kana and pinyin Enter chooses a candidate and does nothing here.
 */

const HANGUL = /[\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3]$/;
const SECOND_ENTER_MS = 120; // macOS sends a second, plain keydown after the composition
const NO_END_MS = 80; // Mod+Enter does not end the composition everywhere

export class EnterSends {
  #composed = "";
  #waiting = null;
  #deafUntil = 0;

  /**
   * `send(how)` is called once per press with "send", "send_solve" or, for Enter alone, "send_line". `plain()` says whether Enter alone sends now.
   */
  constructor(field, { send, plain = () => true, now = () => performance.now() }) {
    this.field = field;
    this.send = send;
    this.plain = plain;
    this.now = now;
    field.addEventListener("compositionstart", () => { this.#composed = ""; });
    field.addEventListener("compositionupdate", (event) => { this.#composed = event.data ?? ""; });
    field.addEventListener("compositionend", (event) => this.#ended(event));
    field.addEventListener("keydown", (event) => this.#pressed(event));
    field.addEventListener("beforeinput", (event) => this.#broke(event));
  }

  #pressed(event) {
    if (event.key !== "Enter" && event.code !== "Enter" && event.code !== "NumpadEnter") return;
    const how = this.#meaning(event);
    if (event.isComposing || event.keyCode === 229) {
      if (!how || !HANGUL.test(this.#composed)) return;
      this.#waiting = how;
      setTimeout(() => { if (this.#waiting) this.#forceEnd(); }, NO_END_MS);
      return;
    }
    if ((event.timeStamp || this.now()) < this.#deafUntil) {
      event.preventDefault();
      return;
    }
    if (!how || event.repeat) return;
    event.preventDefault();
    event.stopPropagation();
    this.send(how);
  }

  #meaning(event) {
    const mod = event.metaKey || event.ctrlKey;
    if (event.altKey) return null;
    if (mod) return event.shiftKey ? "send_solve" : "send";
    return !event.shiftKey && this.plain() ? "send_line" : null;
  }

  #ended(event) {
    this.#composed = event.data ?? this.#composed;
    if (!this.#waiting) return;
    const how = this.#waiting;
    this.#waiting = null;
    this.#deafUntil = this.now() + SECOND_ENTER_MS;
    setTimeout(() => this.send(how)); // after the input event that follows: the value is whole then
  }

  #forceEnd() {
    this.field.blur(); // ends the composition; compositionend then sends
    this.field.focus();
  }

  /** The line break that the same Enter would still make. */
  #broke(event) {
    const breaks = event.inputType === "insertLineBreak" || event.inputType === "insertParagraph";
    if (breaks && (this.#waiting || this.now() < this.#deafUntil)) event.preventDefault();
  }
}
