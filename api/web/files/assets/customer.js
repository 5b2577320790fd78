// The customer's page: their dashboard, and what has changed since they were last here.

import { el, number, request, session, signIn } from "/assets/site.js";
import "/assets/loyalty-dashboard.js";

// Where a customer was when they last looked, kept in their browser. One entry, for whoever was the last to look.
const seenKey = "loyalty-seen";

function seen(customer) {
  try {
    const last = JSON.parse(localStorage.getItem(seenKey));
    return last?.customer === customer ? last.position : null;
  } catch {
    // A browser may keep nothing, or something else.
    return null;
  }
}

function see(customer, position) {
  try {
    localStorage.setItem(seenKey, JSON.stringify({ customer, position }));
  } catch {
    // Then nothing is told the next time.
  }
}

/** tellChanges shows what has changed since the last visit, if the system keeps a history that knows. */
async function tellChanges(board, customer, since) {
  let changes;
  try {
    const response = await request("GET", `/loyalty/${encodeURIComponent(customer)}/changes?since=${encodeURIComponent(since)}`);
    changes = await response.json();
  } catch {
    return;
  }
  if (changes.then.rank === changes.now.rank && changes.then.points === changes.now.points) return;
  const text = changes.text.join(" ").replace(/\d{4,}/g, (digits) => number(Number(digits)));
  board.append(el("section", { class: "card stack", slot: "news", "aria-labelledby": "since" }, el("h2", { id: "since" }, "Since your last visit"), el("p", null, text)));
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
const since = seen(who.subject);
if (since) tellChanges(board, who.subject, since);
board.addEventListener("loyalty-token-expired", signIn);
// A season's dashboard says nothing of what changed for all time, but it is as of the same log.
board.addEventListener("loyalty-update", ({ detail }) => see(who.subject, detail.position));
offerSeasons(board);
board.customer = who.subject;
