// What is told of points over time: buckets of hours or days, longer ones made of them, and sums, per channel.
import { day, hour } from "./analysis-time.js";

/** series are in the order in which they stand on each other. */
export const series = [["website", "Website"], ["mobile", "Mobile"], ["store", "Stores"], [null, "By hand"]].map(([channel, name], i) => ({ channel, name, i }));

const none = () => series.map(() => ({ awards: 0, awarded: 0, reversals: 0, reversed: 0, adjustments: 0, adjusted: 0 }));

function add(to, from) {
  for (const name of Object.keys(to)) to[name] += from[name];
}

/** net is by how much points changed. */
export const net = (sums) => sums.awarded + sums.reversed + sums.adjusted;

/** above and below are what came in and what went out. */
export const above = (sums) => sums.awarded + Math.max(0, sums.adjusted);
export const below = (sums) => sums.reversed + Math.min(0, sums.adjusted);

/** buckets are all of an answer's hours or days, those without entries too: {at, unit, sums by series}. */
export function buckets({ by, from, until, earnings }) {
  const length = by === "hour" ? hour : day, all = [];
  for (let at = Date.parse(from); at < Date.parse(until); at += length) all.push({ at, unit: by, sums: none() });
  for (const row of earnings) {
    const bucket = all[(Date.parse(row.at) - Date.parse(from)) / length];
    add(bucket.sums[series.findIndex(({ channel }) => channel === row.channel)], row);
  }
  return all;
}

const begins = {
  week: (d) => Date.UTC(d.getUTCFullYear(), d.getUTCMonth(), d.getUTCDate() - ((d.getUTCDay() + 6) % 7)),
  month: (d) => Date.UTC(d.getUTCFullYear(), d.getUTCMonth()),
};

/** coarser are buckets of a week or a month made of those of days. */
export function coarser(days, unit) {
  const all = new Map();
  for (const { at, sums } of days) {
    const begin = begins[unit](new Date(at));
    if (!all.has(begin)) all.set(begin, { at: begin, unit, sums: none() });
    sums.forEach((sum, i) => add(all.get(begin).sums[i], sum));
  }
  return [...all.values()];
}

/** totals are the sums of all buckets, by series. */
export function totals(all) {
  const sums = none();
  for (const bucket of all) bucket.sums.forEach((sum, i) => add(sums[i], sum));
  return sums;
}

/** whole is the sum of sums. */
export function whole(sums) {
  const [all] = none();
  for (const sum of sums) add(all, sum);
  return all;
}

const format = (options) => new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", ...options });
const dayAndMonth = format({ weekday: "short", day: "numeric", month: "short", year: "numeric" });
const date = format({ day: "numeric", month: "short", year: "numeric" });
const months = format({ month: "long", year: "numeric" });
const clock = format({ hour: "2-digit", minute: "2-digit" });

/** nameOf is what to call a bucket. */
export function nameOf({ at, unit }) {
  switch (unit) {
    case "hour": return `${dayAndMonth.format(at)}, ${clock.format(at)}–${clock.format(at + hour)}`;
    case "day": return dayAndMonth.format(at);
    case "week": return `Week of ${date.format(at)}`;
    default: return months.format(at);
  }
}

/** csv is a table of buckets as a file, a row for each channel of each. */
export function csv(all) {
  const lines = ["at,channel,awards,awarded,reversals,reversed,adjustments,adjusted"];
  for (const { at, sums } of all) {
    sums.forEach((sum, i) => lines.push([new Date(at).toISOString(), series[i].channel ?? "", ...Object.values(sum)].join(",")));
  }
  return lines.join("\r\n") + "\r\n";
}
