// From when to when there is a past to look at.
import { Problem } from "./site.js";
import { read } from "./analysis-read.js";
import { day, hour, utc } from "./analysis-time.js";

/** range finds the first and the last moment that can be looked at, and the points awarded between them, by day or by hour. It is null
 * as long as nobody has points. */
export async function range(options) {
  const days = await read(`/earnings?by=day&from=${utc(Date.now() - 3650 * day)}`, options);
  if (days.earnings.length === 0) return null;
  const last = Date.parse(days.asOf), first = await begins(days.position, options);
  if (first === null) return null;
  if (last - first > 36 * hour) return { first, last, length: day, awarded: awarded(days) };
  return { first, last, length: hour, awarded: awarded(await read(`/earnings?by=hour&from=${utc(first)}`, options)) };
}

/** end is how far the past reaches by now: the last moment, and the position that stands for it. */
export async function end(since, options) {
  const { asOf, position } = await read(`/earnings?by=day&from=${utc(since)}`, options);
  return { last: Date.parse(asOf), position };
}

/** begins is the first whole millisecond of the past, null if there is none until a position. */
async function begins(position, options) {
  try {
    const { begins } = await read(`/leaderboard?top=1&asOf=${position}`, { ...options, headers: { "Loyalty-Min-Position": position } });
    return Date.parse(begins) + 1;
  } catch (problem) {
    if (problem instanceof Problem && codeOf(problem) === "moment_too_early") return null;
    throw problem;
  }
}

function awarded({ earnings }) {
  const sums = new Map();
  for (const { at, awarded } of earnings) sums.set(Date.parse(at), (sums.get(Date.parse(at)) ?? 0) + awarded);
  return [...sums];
}

/** codeOf is what exactly is wrong with a moment. */
export const codeOf = (problem) => problem.errors?.[0]?.code ?? problem.code;
