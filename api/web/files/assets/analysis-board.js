// A leaderboard, with how it differs from the one that was shown before.
import { el, number, signed } from "./site.js";
import { scrolls } from "./analysis-scroll.js";

const still = matchMedia("(prefers-reduced-motion: reduce)");
// Many can have this name.
const nobody = "Forgotten";

/** Board is a table in an element. */
export class Board {
  #into;
  #before;

  constructor(into) { this.#into = scrolls(into, "The leaderboard"); }

  /** hidden takes the whole card away. */
  set hidden(is) { this.#into.parentElement.hidden = is; }

  /** busy tells that another one is on its way. */
  busy(is) { this.#into.setAttribute("aria-busy", is); }

  /** show shows the best rows of so many customers, as they were asked for. name is the moment's. */
  show(now) {
    const before = this.#before;
    this.#before = { ...now, places: new Map(now.rows.filter(named).map((row) => [row.proxyName, row])) };
    const tops = new Map([...this.#into.querySelectorAll("tbody tr")].map((row) => [row.dataset.name, row.getBoundingClientRect().top]));
    if (now.rows.length === 0) {
      this.#into.replaceChildren(el("p", { class: "muted nothing" }, "The leaderboard was empty."));
      return;
    }
    const most = Math.max(1, ...now.rows.map(({ points }) => points));
    const body = el("tbody", null, now.rows.map((row) => line(row, most, before)));
    const compared = before && before.name !== now.name ? `, and what is different from ${before.name}` : "";
    this.#into.replaceChildren(el("table", { class: "data leaders" },
      el("caption", null, `Top ${number(now.rows.length)} ${now.name === "now" ? "now" : `as of ${now.name}`}${compared}`),
      el("thead", null, el("tr", null, el("th", { scope: "col", class: "num" }, "Rank"), el("th", { scope: "col" }, "Moved"),
        el("th", { scope: "col" }, "Name"), el("th", { scope: "col", class: "num" }, "Points"))),
      body));
    if (!still.matches) glide(body, tops);
  }
}

/** named tells whether a row says whose it is: not that of somebody forgotten, and none at all to those who may see no names. */
const named = (row) => row.proxyName !== undefined && row.proxyName !== nobody;

function line(row, most, before) {
  const was = named(row) ? before?.places.get(row.proxyName) : undefined, gained = was ? row.points - was.points : 0;
  const bar = el("span", { class: "length", "aria-hidden": "true" });
  bar.style.width = `${(100 * Math.max(0, row.points)) / most}%`;
  return el("tr", { dataset: { name: row.proxyName ?? row.rank } },
    el("td", { class: "num rank" }, number(row.rank)),
    el("td", { class: "moved" }, moved(row, was, before)),
    el("th", { scope: "row", class: named(row) ? null : "muted" }, row.proxyName ?? "name withheld", bar),
    el("td", { class: "num" }, number(row.points), gained !== 0 && el("span", { class: "gained small muted" }, ` ${signed(gained)}`)));
}

/** moved says in words and arrows where a row came from. */
function moved(row, was, before) {
  if (!before || !named(row)) return el("span", { class: "muted" }, "–");
  if (was && was.rank === row.rank) return el("span", { class: "muted" }, "same");
  if (was) return was.rank > row.rank ? el("span", { class: "good" }, `▲ ${number(was.rank - row.rank)} up`) : el("span", { class: "bad" }, `▼ ${number(row.rank - was.rank)} down`);
  // Of a row beyond those that were shown before, nobody knows.
  const seen = row.rank <= before.rows.length || before.customers <= before.rows.length;
  return seen ? el("span", { class: "good" }, "▲ new") : el("span", { class: "muted" }, "–");
}

/** glide lets each row come from where it was. */
function glide(body, tops) {
  for (const row of body.rows) {
    const top = tops.get(row.dataset.name);
    if (top === undefined) {
      if (tops.size > 0) row.animate({ opacity: [0, 1] }, { duration: 200 });
      continue;
    }
    const by = top - row.getBoundingClientRect().top;
    if (by !== 0) row.animate({ transform: [`translateY(${by}px)`, "none"] }, { duration: 250, easing: "ease-out" });
  }
}
