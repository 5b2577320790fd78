// The analysis page: the leaderboard of any moment, points over time, and what another policy would have given. The fragment of its
// address says what is shown, so that it can be sent to a colleague.
import { session } from "./session.js";
import { past } from "./analysis-past.js";
import { points } from "./analysis-points.js";
import { whatIf } from "./analysis-whatif.js";

const who = await session("analyst");
const views = document.getElementById("views");
views.hidden = false;
// A fragment is a place here, and not a part of the page.
document.querySelector("a.skip").addEventListener("click", (event) => {
  event.preventDefault();
  document.getElementById("main").focus();
});

/** keep notes in the address what is shown of a view, without another step to go back from, and has its link lead back to that. */
const keep = (view) => (parts) => {
  const address = "#" + new URLSearchParams({ view, ...parts });
  if (shown === view) history.replaceState(null, "", address);
  views.querySelector(`[data-view=${view}]`).setAttribute("href", address);
};

const parts = { past: past(keep("past")), points: points(keep("points")), "what-if": whatIf(who) };
const titles = { past: "The past", points: "Points over time", "what-if": "What if" };
let shown = "";

/** arrive shows what the address says. The focus goes to what is new there, but not on opening the page. */
function arrive(opening) {
  const { view, ...rest } = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  const wanted = parts[view] ? view : "past", another = wanted !== shown;
  shown = wanted;
  for (const name of Object.keys(parts)) document.getElementById(name).hidden = name !== wanted;
  for (const link of views.querySelectorAll("a")) {
    if (link.dataset.view === wanted) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${titles[wanted]} · Analysis · Loyalty`;
  parts[wanted].show(rest);
  if (another && !opening) document.getElementById(`${wanted}-title`).focus();
}

addEventListener("hashchange", () => arrive(false));
arrive(true);
