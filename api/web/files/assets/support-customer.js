// One customer: what they see of themselves, and why it is another than it was.
import { Problem, clearFaults, el, fault, number, say, when } from "./site.js";
import { inWords, latest, pathTo, read, told } from "./support-api.js";
import { inPoints, table } from "./support-parts.js";

/** standing sets up a customer's points, rank and neighbours. */
export function standing() {
  const into = document.getElementById("standing"), around = document.getElementById("neighbours");
  let shown = "";
  const load = latest(async (signal, customer) => {
    if (shown !== customer) {
      into.replaceChildren(el("p", { class: "muted" }, "Looking…"));
      around.replaceChildren();
    }
    let board, trail;
    try {
      [board, trail] = await Promise.all([
        read(pathTo(["loyalty", customer], { top: 1, around: 3 }), signal),
        read(pathTo(["loyalty", customer, "trail"], { limit: 1 }), signal),
      ]);
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      around.replaceChildren();
      return into.replaceChildren(told(problem));
    }
    shown = customer;
    into.replaceChildren(facts(board, trail));
    around.replaceChildren(...(board.you ? [neighbours(board)] : []));
  });
  return { load, stop: load.stop };
}

function facts({ you, customers, asOf }, trail) {
  if (trail.entries.length === 0) {
    return el("p", { class: "banner warn" }, "There are no entries under this id. If that surprises you, look for a slip in it.");
  }
  return el("div", { class: "stack" },
    el("p", { class: "figures" },
      el("span", null, el("span", { class: "big", id: "points" }, number(trail.points)), " ", trail.points === 1 ? "point" : "points"),
      you && el("span", null, "rank ", el("span", { class: "big", id: "rank" }, number(you.rank)), ` of ${number(customers)}`)),
    you
      ? el("p", { class: "muted" }, ...(you.proxyName ? ["Others see ", el("strong", null, you.proxyName), ". "] : []), ...(asOf ? ["As of ", when(asOf), "."] : []))
      : el("p", { class: "muted" }, "Not on the leaderboard: without points yet, or forgotten."));
}

function neighbours({ around }) {
  const { element, add } = table("Their neighbours on the leaderboard", [["Rank", "num"], ["Name"], ["Points", "num"]], { class: "data" });
  element.querySelector("caption").className = "";
  for (const { rank, proxyName, points, you } of around) {
    const name = proxyName ?? (you ? "" : el("span", { class: "muted" }, "name withheld"));
    add([number(rank), you ? el("strong", null, name, " ", el("span", { class: "chip good" }, "this customer")) : name, number(points)], { class: you && "you" });
  }
  return element;
}

/** since sets up the question what has changed. Its show is called when another customer is looked at. */
export function since() {
  const details = document.getElementById("since"), form = details.querySelector("form"), into = details.querySelector(".into");
  let customer;
  const ask = latest(async (signal) => {
    clearFaults(form);
    const day = form.elements.since.value;
    const moment = day && new Date(`${day}T00:00`);
    try {
      const changes = await read(pathTo(["loyalty", customer, "changes"], { since: moment && !Number.isNaN(moment.getTime()) ? moment.toISOString() : day }), signal);
      into.replaceChildren(whatChanged(changes));
      say("What changed is shown.");
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      into.replaceChildren();
      fault(form, inWords(problem, { route_not_found: "No history is kept here.", moment_too_early: "History is not kept for that long: choose a later day." }));
    }
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });
  return {
    show(next) {
      if (next === customer) return;
      customer = next;
      ask.stop();
      details.open = false;
      clearFaults(form);
      into.replaceChildren();
    },
  };
}

function whatChanged({ then, now, text }) {
  const place = ({ rank, points, customers }) => (rank ? `rank ${number(rank)} of ${number(customers)} with ${inPoints(points)}` : "not on the leaderboard");
  return el("div", { class: "stack" },
    el("dl", { class: "facts" }, el("dt", null, "Then"), el("dd", null, place(then)), el("dt", null, "Now"), el("dd", null, place(now))),
    el("p", null, "What the customer is told:"),
    el("blockquote", null, el("ul", null, text.map((line) => el("li", null, line)))));
}
