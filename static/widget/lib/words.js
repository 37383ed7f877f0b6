/** The panel's words, times and sizes in the visitor's language. */
export class Words {
  constructor(texts, language) {
    this.texts = texts;
    this.language = language;
    this.clock = new Intl.DateTimeFormat(language, { hour: "numeric", minute: "2-digit" });
    this.date = new Intl.DateTimeFormat(language, { month: "long", day: "numeric", weekday: "short" });
    this.weekday = new Intl.DateTimeFormat(language, { weekday: "long" });
  }

  get(name, values = {}) {
    return (this.texts[name] ?? "").replace(/\{(\w+)\}/g, (whole, key) => values[key] ?? whole);
  }

  time(iso) {
    return this.clock.format(new Date(iso));
  }

  day(iso) {
    const day = new Date(iso);
    const ago = Math.round((startOf(new Date()) - startOf(day)) / 86_400_000);
    return ago === 0 ? this.get("today") : ago === 1 ? this.get("yesterday") : this.date.format(day);
  }

  short(iso) {
    return startOf(new Date(iso)).getTime() === startOf(new Date()).getTime() ? this.time(iso) : this.day(iso);
  }

  when(iso) {
    return `${this.weekday.format(new Date(iso))} ${this.time(iso)}`;
  }

  wait(seconds) {
    const unit = seconds < 90 * 60 ? "minute" : seconds < 36 * 3600 ? "hour" : "day";
    const size = { minute: 60, hour: 3600, day: 86_400 }[unit];
    return new Intl.NumberFormat(this.language, { style: "unit", unit, unitDisplay: "long" }).format(Math.max(1, Math.ceil(seconds / size)));
  }

  size(bytes) {
    const [unit, divisor] = bytes < 1e6 ? ["kilobyte", 1e3] : ["megabyte", 1e6];
    return new Intl.NumberFormat(this.language, { style: "unit", unit, maximumFractionDigits: 1 }).format(Math.max(0.1, bytes / divisor));
  }
}

function startOf(date) {
  return new Date(date.getFullYear(), date.getMonth(), date.getDate());
}
