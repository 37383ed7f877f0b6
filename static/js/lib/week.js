/** The hours of one day as minutes: [[540, 720], [780, 1080]], sorted and apart. The text is "09:00-12:00, 13:00-18:00". */

const DAY = 24 * 60;

/** The windows of a text, or null where it cannot be read. */
export function read(text) {
  const windows = [];
  for (const piece of text.split(",")) {
    if (!piece.trim()) continue;
    const found = piece.trim().match(/^(\d{2}):(\d{2})\s*[-~–]\s*(\d{2}):(\d{2})$/);
    if (!found) return null;
    const [opens, closes] = [found[1] * 60 + Number(found[2]), found[3] * 60 + Number(found[4]) || DAY];
    if (opens >= closes || closes > DAY) return null;
    windows.push([opens, closes]);
  }
  return joined(windows);
}

export function written(windows) {
  return windows.map(([opens, closes]) => `${clock(opens)}-${clock(closes)}`).join(", ");
}

export function clock(minutes) {
  return `${String(Math.floor(minutes / 60)).padStart(2, "0")}:${String(minutes % 60).padStart(2, "0")}`;
}

/** How many minutes between two moments of the day are open. */
export function open(windows, from, until) {
  return windows.reduce((sum, [opens, closes]) => sum + Math.max(0, Math.min(closes, until) - Math.max(opens, from)), 0);
}

export function opened(windows, from, until) {
  return joined([...windows, [from, until]]);
}

export function closed(windows, from, until) {
  return windows.flatMap(([opens, closes]) => [[opens, Math.min(closes, from)], [Math.max(opens, until), closes]]).filter(([opens, closes]) => opens < closes);
}

function joined(windows) {
  const sorted = [...windows].sort((one, other) => one[0] - other[0]);
  const apart = [];
  for (const [opens, closes] of sorted) {
    const last = apart.at(-1);
    if (last && opens <= last[1]) last[1] = Math.max(last[1], closes);
    else apart.push([opens, closes]);
  }
  return apart;
}
