/**
 * Finding by a few letters, in Korean too: initial consonants (ㅎㅂ finds 환불), and syllables that are still being composed, so that
 * the list does not jump while one types (화, 환, 환ㅂ, 환부, 환불).
 */

const FIRST = 0xac00;
const LAST = 0xd7a3;
const INITIALS = [..."ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"];
const FINALS = ["", ..."ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ"];
const PAIRS = { ㄳ: "ㄱㅅ", ㄵ: "ㄴㅈ", ㄶ: "ㄴㅎ", ㄺ: "ㄹㄱ", ㄻ: "ㄹㅁ", ㄼ: "ㄹㅂ", ㄽ: "ㄹㅅ", ㄾ: "ㄹㅌ", ㄿ: "ㄹㅍ", ㅀ: "ㄹㅎ", ㅄ: "ㅂㅅ" };
const FINAL_COUNT = 28;
const VOWELS = 21;

const isSyllable = (letter) => letter >= "가" && letter <= "힣";
const fold = (text) => [...text.normalize("NFC").toLocaleLowerCase()];

function parts(syllable) {
  const code = syllable.codePointAt(0) - FIRST;
  return { initial: INITIALS[Math.floor(code / FINAL_COUNT / VOWELS)], open: String.fromCodePoint(FIRST + code - (code % FINAL_COUNT)), final: FINALS[code % FINAL_COUNT] };
}

/** Does a typed letter stand for this one? A consonant for a syllable that it begins, an open syllable for its closed ones. */
function fits(typed, letter) {
  if (typed === letter) return true;
  if (!isSyllable(letter)) return false;
  if (INITIALS.includes(typed)) return parts(letter).initial === typed;
  return isSyllable(typed) && !parts(typed).final && parts(letter).open === typed;
}

/** How the last letter may be meant while it is composed: 뱃 is also 배 and a syllable that begins with ㅅ. */
function readings(typed) {
  const last = typed.at(-1);
  if (!last || last < String.fromCodePoint(FIRST) || last > String.fromCodePoint(LAST)) return PAIRS[last] ? [typed, [...typed.slice(0, -1), ...PAIRS[last]]] : [typed];
  const { open, final } = parts(last);
  if (!final) return [typed];
  const split = PAIRS[final];
  if (!split) return [typed, [...typed.slice(0, -1), open, final]];
  const [stays, goes] = split;
  return [typed, [...typed.slice(0, -1), String.fromCodePoint(open.codePointAt(0) + FINALS.indexOf(stays)), goes]];
}

const NONE = Infinity;

/** How well `query` finds `text`: 0 is best, Infinity not at all. */
export function rank(query, text) {
  const typed = fold(query.trim()).filter((letter) => letter !== " ");
  if (!typed.length) return 0;
  const letters = fold(text);
  return Math.min(...readings(typed).map((reading) => rankOf(reading, letters)));
}

function rankOf(typed, letters) {
  let best = NONE;
  for (let start = 0; start < letters.length; start += 1) {
    if (!fits(typed[0], letters[start])) continue;
    const isWord = start === 0 || letters[start - 1] === " ";
    const rest = together(typed, letters, start);
    if (rest) return start === 0 ? 0 : isWord ? 1 : Math.min(best, 2);
    if (best === NONE && typed.length > 1 && scattered(typed, letters, start)) best = 3;
  }
  return best;
}

/** One after the other, over spaces. */
function together(typed, letters, start) {
  let at = start;
  for (const letter of typed) {
    while (letters[at] === " ") at += 1;
    if (at >= letters.length || !fits(letter, letters[at])) return false;
    at += 1;
  }
  return true;
}

function scattered(typed, letters, start) {
  let at = start;
  for (const letter of typed) {
    while (at < letters.length && !fits(letter, letters[at])) at += 1;
    if (at >= letters.length) return false;
    at += 1;
  }
  return true;
}

/** The entries that `query` finds in one of their texts, best first; equals stay in their order. */
export function find(query, entries, texts) {
  return entries
    .map((entry) => ({ entry, score: Math.min(...texts(entry).map((text, i) => rank(query, text) + i * 0.1)) }))
    .filter(({ score }) => score < NONE)
    .sort((a, b) => a.score - b.score)
    .map(({ entry }) => entry);
}

/** The sign before the caret that asks for the menu, at the start of a line or after a space: {sign, start, query}; null without one. */
export function askedFor(value, caret, signs) {
  const line = value.slice(value.lastIndexOf("\n", caret - 1) + 1, caret);
  for (let at = line.length - 1; at >= 0; at -= 1) {
    if (!signs.includes(line[at])) continue;
    if (at > 0 && !/\s/.test(line[at - 1])) continue;
    const query = line.slice(at + 1);
    if (query.startsWith(" ") || query.length > 40) return null;
    return { sign: line[at], start: caret - query.length - 1, query };
  }
  return null;
}
