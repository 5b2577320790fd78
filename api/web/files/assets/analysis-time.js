// Moments as the analysis page writes them. They are in milliseconds since 1970.
import { el } from "./site.js";

export const second = 1000, minute = 60 * second, hour = 60 * minute, day = 24 * hour;

const long = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** moment is a moment in the reader's time. */
export const moment = (at) => long.format(at);

/** utc is a moment as the API takes it. */
export const utc = (at) => new Date(at).toISOString();

/** timeOf is an element for a moment, with the whole of it in UTC behind. */
export const timeOf = (at) => el("time", { datetime: utc(at), title: utc(at) }, moment(at));

const two = (n) => String(n).padStart(2, "0");

/** local is a moment as fields for the reader's time take it, to the second. */
export function local(at) {
  const d = new Date(at);
  return `${String(d.getFullYear()).padStart(4, "0")}-${two(d.getMonth() + 1)}-${two(d.getDate())}T${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}

const spans = [[day, "day"], [hour, "hour"], [minute, "minute"], [second, "second"]];

/** span is how long some milliseconds are, in whole units: "3 hours". */
export function span(ms) {
  if (ms < second) return "less than a second";
  const [length, name] = spans.find(([length]) => ms >= length);
  const n = Math.round(ms / length);
  return `${n.toLocaleString("en-GB")} ${name}${n === 1 ? "" : "s"}`;
}
