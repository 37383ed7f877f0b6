/** Times in the reader's own zone and language, and SLA chips that count down. Elements: time[data-time], .sla[data-due]. */

import { language, word } from "./words.js";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const korean = language.startsWith("ko");
const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
const format = (options) => new Intl.DateTimeFormat(language, options);
const clock = format(korean ? { hour: "numeric", minute: "2-digit", hour12: true } : { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const weekday = format({ weekday: "short" });
const monthDay = format(korean ? { month: "numeric", day: "numeric" } : { month: "short", day: "numeric" });
const dayDate = format(korean ? { month: "numeric", day: "numeric", weekday: "short" } : { month: "short", day: "numeric", weekday: "short" });
const yearDate = format({ year: "numeric", month: korean ? "numeric" : "short", day: "numeric" });
const longDate = format({ weekday: "long", month: "long", day: "numeric" });
const full = format({ dateStyle: "full", timeStyle: "short" });

function daysBetween(then, now) {
  const midnight = (at) => new Date(at.getFullYear(), at.getMonth(), at.getDate()).getTime();
  return Math.round((midnight(now) - midnight(then)) / DAY);
}

/** "now", "3 min ago", "yesterday 14:10" ("어제 오후 2:10"), then the date after seven days. */
export function relativeTime(then, now = new Date()) {
  const age = now - then;
  const days = daysBetween(then, now);
  if (Math.abs(age) < 45_000) return word("now");
  if (Math.abs(age) < HOUR) return relative.format(-Math.round(age / MINUTE), "minute");
  if (days === 0) return relative.format(-Math.round(age / HOUR), "hour");
  if (days === 1) return `${relative.format(-1, "day")} ${clock.format(then)}`;
  if (days > 1 && days <= 7) return `${weekday.format(then)} ${clock.format(then)}`;
  return then.getFullYear() === now.getFullYear() ? dayDate.format(then) : yearDate.format(then);
}

const STYLES = {
  relative: relativeTime,
  clock: (then) => clock.format(then),
  datetime: (then) => `${dayDate.format(then)} ${clock.format(then)}`,
  row(then, now) {
    const days = Math.abs(daysBetween(then, now));
    if (days === 0) return clock.format(then);
    if (days < 7) return weekday.format(then);
    return then.getFullYear() === now.getFullYear() ? monthDay.format(then) : yearDate.format(then);
  },
  date(then, now) {
    const days = daysBetween(then, now);
    if (days === 0 || days === 1) return relative.format(-days, "day");
    return then.getFullYear() === now.getFullYear() ? longDate.format(then) : yearDate.format(then);
  },
};

/** A length in the two largest units that matter: "2d 4h", "3h 05m", "12m". */
export function shortLength(ms) {
  const minutes = Math.max(1, Math.round(Math.abs(ms) / MINUTE));
  const [days, hours, rest] = [Math.floor(minutes / 1440), Math.floor((minutes % 1440) / 60), minutes % 60];
  const unit = korean ? ["일", "시간", "분"] : ["d", "h", "m"];
  if (days) return `${days}${unit[0]} ${hours}${unit[1]}`;
  if (hours) return `${hours}${unit[1]} ${String(rest).padStart(2, "0")}${unit[2]}`;
  return `${rest}${unit[2]}`;
}

/** ok, soon (a quarter of the target left, or 15 minutes) or breached. `target` in seconds. */
export function slaState(due, target, now = new Date()) {
  const left = due - now;
  if (left < 0) return "breached";
  return left <= Math.max(15 * MINUTE, target ? target * 250 : 0) ? "soon" : "ok";
}

function writeTime(element, now) {
  const then = new Date(element.dateTime);
  if (Number.isNaN(then.getTime())) return;
  const words = (STYLES[element.dataset.time] ?? relativeTime)(then, now);
  if (element.textContent !== words) element.textContent = words;
  element.title ||= full.format(then);
}

function writeSla(chip, now) {
  if (chip.dataset.state === "paused") chip.title = word("standsStill");
  if (["met", "paused"].includes(chip.dataset.state)) return;
  const due = new Date(chip.dataset.due);
  const target = Number(chip.dataset.target) || 0;
  const state = slaState(due, target, now);
  const words = `${state === "breached" ? "−" : ""}${shortLength(due - now)}`;
  if (chip.dataset.state !== state) chip.dataset.state = state;
  const place = chip.querySelector(".sla__time");
  if (place && place.textContent !== words) place.textContent = words;
  chip.title = word("due", { at: full.format(due) }) + ("business" in chip.dataset ? ` (${word("businessHours")})` : "");
}

export function writeTimes(root = document, now = new Date()) {
  for (const element of root.querySelectorAll("time[data-time]")) if (!element.closest(".sla__time")) writeTime(element, now);
  for (const chip of root.querySelectorAll(".sla[data-due]")) writeSla(chip, now);
}

/** Write all times now, new ones as they arrive, and all again: SLA every 30 s, the rest with it. */
export function startTimes() {
  writeTimes();
  new MutationObserver((changes) => {
    const now = new Date();
    for (const { addedNodes } of changes) {
      for (const node of addedNodes) {
        if (node.nodeType !== Node.ELEMENT_NODE) continue;
        if (node.matches("time[data-time]")) writeTime(node, now);
        else writeTimes(node, now);
        if (node.matches(".sla[data-due]")) writeSla(node, now);
      }
    }
  }).observe(document.body, { childList: true, subtree: true });
  setInterval(() => { if (!document.hidden) writeTimes(); }, 30_000);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) writeTimes(); });
}
