/** Which rows belong to a list, where they stand, and what is marked on them: plain functions over the facts that a row carries. */

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

const moment = (text) => (text ? Number(text) : Infinity);
const due = (row) => [moment(row.due), moment(row.waiting), Number(row.ticket)];

/** As tickets/workspace/orders.py: what has the smaller key stands higher. */
const KEYS = {
  due,
  priority: (row) => [-Number(row.priority), ...due(row)],
  newest: (row) => [-Number(row.updated), -Number(row.ticket)],
  oldest: (row) => [Number(row.updated), Number(row.ticket)],
  created: (row) => [-Number(row.ticket)],
};

/** Whether row `a` stands above row `b` in this order (their datasets). */
export function precedes(order, a, b) {
  const [one, other] = [KEYS[order](a), KEYS[order](b)];
  const at = one.findIndex((part, i) => part !== other[i]);
  return at >= 0 && one[at] < other[at];
}

/** Unread: the newest message is beyond the mark and somebody else's; a ticket never opened counts where the customer wrote last. */
export function isUnread(row, mark, me) {
  const read = mark?.read ?? 0;
  if (!row.message || row.by === String(me)) return false;
  return Number(row.message) > read && (read > 0 || row.direction === "in");
}
