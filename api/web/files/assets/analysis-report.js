// What came of trying out a policy, side by side with how it was.
import { el, number, signed } from "./site.js";
import { scrolls } from "./analysis-scroll.js";
import { moment } from "./analysis-time.js";

/** sideBySide is what to show of a report. */
export function sideBySide(r, question) {
  const { policy } = r;
  return [headline(r, question), customers(policy), r.parts && parts(r, question), el("section", { class: "card grid tops", "aria-label": "Top lists side by side" },
    top("As it was", r.top, { rank: "rank", points: "points", other: "otherRank" }, "New"),
    top(`Under ${policy.id}`, policy.top, { rank: "otherRank", points: "otherPoints", other: "rank" }, "Was"))].filter(Boolean);
}

const money = (minor) => (minor / 100).toLocaleString("en-GB", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const signedMoney = (minor) => (minor > 0 ? "+" : "") + money(minor);
const percent = new Intl.NumberFormat("en-GB", { style: "percent", signDisplay: "exceptZero", maximumFractionDigits: 1 });
const head = (name, kind) => el("th", { scope: "col", class: kind }, name);
const wide = (name, table) => scrolls(el("div", { class: "scroll" }, table), name);
const figure = (text) => el("td", { class: "num" }, text);

function headline(r, question) {
  const { policy, totals } = r;
  const change = totals.net === 0 ? "" : ` (${percent.format(policy.difference / Math.abs(totals.net))})`;
  const facts = [`${number(r.events)} events`, `${number(r.customers)} customers`, r.forgotten > 0 && `${number(r.forgotten)} of them forgotten`,
    question.until ? `up to ${moment(Date.parse(question.until))}` : r.events > 0 && `up to ${moment(Date.parse(r.storedAt))}`];
  const sums = [["Orders", "orders"], ["Returns", "returns"], ["By hand", "adjustments"], ["Points awarded", "awarded"], ["Points taken back", "reversed"], ["Points by hand", "adjusted"], ["Points outstanding", "net"]];
  const { liability } = policy;
  return el("section", { class: "card stack", "aria-labelledby": "report-title" },
    el("h3", { id: "report-title", tabindex: "-1" }, `Under ${policy.id}`),
    el("p", null, el("span", { class: "big", id: "difference" }, signed(policy.difference)), ` points${change}`),
    el("p", { class: "small muted" }, facts.filter(Boolean).join(" · ")),
    policy.unpriced > 0 && el("p", { class: "banner warn" }, `${number(policy.unpriced)} ${policy.unpriced === 1 ? "order is" : "orders are"} in a currency that the policy does not price, and earn nothing under it.`),
    wide("Totals", el("table", { class: "data", id: "totals" },
      el("caption", { class: "visually-hidden" }, "Totals side by side"),
      el("thead", null, el("tr", null, head("Total"), head("As it was", "num"), head("Under it", "num"), head("Difference", "num"))),
      el("tbody", null, sums.map(([name, key]) => el("tr", { class: key === "net" ? "sum" : null }, el("th", { scope: "row" }, name),
        figure(number(totals[key])), figure(number(policy.totals[key])), figure(difference(policy.totals[key] - totals[key])))),
      liability && el("tr", null, el("th", { scope: "row" }, `Worth, at ${money(liability.pointValue)} a point`),
        figure(money(liability.actual)), figure(money(liability.other)), figure(signedMoney(liability.difference)))))));
}

const difference = (n) => (n === 0 ? el("span", { class: "muted" }, "–") : signed(n));

function customers({ up, down, same, moves }) {
  const all = Math.max(1, up + down + same);
  const part = (n, kind) => {
    const piece = el("span", { class: kind });
    piece.style.width = `${(100 * n) / all}%`;
    return piece;
  };
  return el("section", { class: "card stack", "aria-labelledby": "customers-title" },
    el("h3", { id: "customers-title" }, "Customers"),
    el("div", { class: "parts", "aria-hidden": "true" }, part(up, "up"), part(same, "same"), part(down, "down")),
    el("ul", { class: "row key" },
      el("li", null, el("span", { class: "good" }, "▲ "), el("strong", { id: "up" }, number(up)), " have more points"),
      el("li", null, el("span", { class: "muted" }, "= "), el("strong", { id: "same" }, number(same)), " the same"),
      el("li", null, el("span", { class: "bad" }, "▼ "), el("strong", { id: "down" }, number(down)), " fewer")),
    el("dl", { class: "facts" },
      el("dt", null, "Ranks move by"), el("dd", null, `${number(moves.median)} (median), ${number(moves.p90)} (90 %), ${number(moves.p99)} (99 %)`),
      el("dt", null, "The longest moves"), el("dd", null, `${number(moves.up)} up, ${number(moves.down)} down`),
      moves.joined + moves.left > 0 && [el("dt", null, "The leaderboard"), el("dd", null, `${number(moves.joined)} join, ${number(moves.left)} leave`)]));
}

const names = { website: "Website", mobile: "Mobile", store: "Stores" };

function parts({ parts }, { by }) {
  const without = { channel: "By hand", currency: "No currency", month: "No month" }[by];
  return el("section", { class: "card", "aria-labelledby": "parts-title" },
    el("h3", { id: "parts-title" }, `By ${by}`),
    wide(`By ${by}`, el("table", { class: "data", id: "parts" },
      el("caption", { class: "visually-hidden" }, `Points by ${by}, side by side`),
      el("thead", null, el("tr", null, head(by[0].toUpperCase() + by.slice(1)), head("Orders", "num optional"), head("As it was", "num"), head("Under it", "num"), head("Difference", "num"))),
      el("tbody", null, parts.map(({ name, totals, other }) => el("tr", null, el("th", { scope: "row" }, names[name] ?? (name || without)),
        el("td", { class: "num optional" }, number(totals.orders)), figure(number(totals.net)), figure(number(other.net)), figure(difference(other.net - totals.net))))))));
}

/** top is one of the two lists. Each says where the same customer is in the other. */
function top(name, places, { rank, points, other }, there) {
  return wide(name, el("table", { class: "data small" },
    el("caption", null, name),
    el("thead", null, el("tr", null, head("Rank", "num"), head("Name"), head("Points", "num"), head(there, "num"))),
    el("tbody", null, places.map((place) => el("tr", null, figure(number(place[rank])), el("th", { scope: "row" }, place.proxyName),
      figure(number(place[points])), figure(moved(place, other)))))));
}

/** moved says where somebody is in the other list, and whether they rise or fall under the policy. */
function moved(place, other) {
  if (!place[other]) return el("span", { class: "muted" }, "none");
  const rise = place.rank - place.otherRank;
  if (rise === 0) return el("span", { class: "muted" }, `${number(place[other])} =`);
  return el("span", { class: rise > 0 ? "good" : "bad" }, `${number(place[other])} `, rise > 0 ? "▲" : "▼",
    el("span", { class: "visually-hidden" }, rise > 0 ? " rises" : " falls"));
}
