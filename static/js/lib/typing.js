/** Put words in the place of what is selected, as if they were typed: the browser's own undo takes them back, and the field says `input`. */
export function type(field, words) {
  const done = words ? document.execCommand("insertText", false, words) : document.execCommand("delete");
  if (done || (!words && field.selectionStart === field.selectionEnd)) return;
  field.setRangeText(words, field.selectionStart, field.selectionEnd, "end");
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

/** The same in the place of these characters. */
export function typeOver({ field, start, end }, words) {
  field.focus();
  field.setSelectionRange(start, end);
  type(field, words);
}
