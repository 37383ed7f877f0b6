/** Which rows belong to a list, and what is marked on them: plain functions over the facts that a row carries. */

const UNSOLVED = ["new", "open", "pending", "on_hold"];

/**
 * Whether a row (its dataset) belongs to the list with these facts {statuses, assignee, asleep, team}, for the agent `me`.
 */
export function belongs(list, row, me, now = Date.now()) {
  if ("merged" in row) return false;
  if (list.statuses.length && !list.statuses.includes(row.status)) return false;
  if (list.assignee === "me" && row.assignee !== String(me)) return false;
  if (list.assignee === "none" && row.assignee !== "") return false;
  if (list.team && row.team !== String(list.team)) return false;
  if (list.asleep === null) return true;
  return list.asleep === (Boolean(row.until) && Date.parse(row.until) > now);
}

/** Unread: the newest message is beyond the mark and somebody else's; a ticket never opened counts where the customer wrote last. */
export function isUnread(row, mark, me) {
  const read = mark?.read ?? 0;
  if (!row.message || row.by === String(me)) return false;
  return Number(row.message) > read && (read > 0 || row.direction === "in");
}

export function isDone(row) {
  return !UNSOLVED.includes(row.status);
}
