// The customer's page: their dashboard, and what has changed since they were last here.

import { session } from "/assets/session.js";
import { el, request, signIn } from "/assets/site.js";
import "/assets/loyalty-dashboard.js";
import { counted, number } from "/assets/loyalty-rows.js";

// What a customer saw when they last looked, kept in their browser: rank (null without one), points, and the position they are of. One
// entry, for whoever was the last to look.
const seenKey = "loyalty-seen";

function seen(customer) {
  try {
    const last = JSON.parse(localStorage.getItem(seenKey));
    return last?.customer === customer && Number.isInteger(last.points) ? last : null;
  } catch {
    // A browser may keep nothing, or something else.
    return null;
  }
}

function see(customer, { you, position }) {
  try {
    localStorage.setItem(seenKey, JSON.stringify({ customer, rank: you?.rank ?? null, points: you?.points ?? 0, position }));
  } catch {
    // Then nothing is told the next time.
  }
}

/** changes are sentences on what is not as it was. */
function changes(then, { rank = null, points = 0 }) {
  const text = [];
  if (rank === null && then.rank !== null) text.push("You are no longer on the leaderboard.");
  else if (then.rank === null && rank !== null) text.push(`You joined the leaderboard and have rank ${number(rank)}.`);
  else if (rank !== then.rank) text.push(`Your rank went from ${number(then.rank)} to ${number(rank)}.`);
  const by = Math.abs(points - then.points);
  if (by > 0) text.push(`You have ${counted(by, "point", "points")} ${points > then.points ? "more" : "less"}.`);
  return text;
}

function tellChanges(board, text) {
  board.append(el("section", { class: "card stack", slot: "news", "aria-labelledby": "since" }, el("h2", { id: "since" }, "Since your last visit"), el("p", null, text.join(" "))));
}

const months = new Intl.DateTimeFormat("en-GB", { month: "long", year: "numeric", timeZone: "UTC" });

/** seasonName is what people call a season. */
function seasonName({ id, from }) {
  if (/^\d{4}-\d{2}$/.test(id)) return months.format(new Date(from));
  const quarter = /^(\d{4})-Q(\d)$/.exec(id);
  return quarter ? `quarter ${quarter[2]} of ${quarter[1]}` : id;
}

/** offerSeasons lets the customer choose between all time and the seasons that there are, the latest first. */
async function offerSeasons(board) {
  let seasons;
  try {
    const response = await request("GET", "/seasons");
    ({ seasons } = await response.json());
  } catch {
    // Then there is all time.
    return;
  }
  if (seasons.length === 0) return;
  const label = document.getElementById("season"), select = label.querySelector("select");
  select.append(el("option", { value: "" }, "all time"), ...seasons.reverse().map((one) => el("option", { value: one.id }, seasonName(one))));
  select.addEventListener("change", () => { board.season = select.value; });
  // What a browser keeps of a form when it goes back counts, too.
  board.season = select.value;
  label.hidden = false;
}

const board = document.querySelector("loyalty-dashboard");
for (const name of ["accent", "accent-text", "accent-soft", "surface", "raised", "text", "muted", "line", "control", "warn", "warn-soft", "focus", "radius", "space"]) {
  board.style.setProperty(`--loyalty-${name}`, `var(--${name})`);
}
const who = await session("customer");
let last = seen(who.subject);
board.addEventListener("loyalty-token-expired", () => signIn());
// Its connection ends with it.
addEventListener("loyalty-leave", () => board.remove());
board.addEventListener("loyalty-update", ({ detail }) => {
  // A season's dashboard says nothing of what changed for all time.
  if (detail.season) return;
  const text = last ? changes(last, detail.you ?? {}) : [];
  if (text.length > 0) tellChanges(board, text);
  last = null;
  see(who.subject, detail);
});
offerSeasons(board);
board.customer = who.subject;
