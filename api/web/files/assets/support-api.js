// How the support page asks the API: reads show what this page wrote before, and try again while nobody answers; of several of a
// kind only the latest counts.
import { call, el, patient } from "./site.js";

// The position of the last thing that was written from here.
let reached = "";

/** write posts, once. After a Problem that is passing nobody knows whether it was done. */
export async function write(path, body, headers) {
  const answer = await call("POST", path, { body, headers });
  if (!answer.preview) reached = answer.position;
  return answer;
}

/** positioned are the headers of a read that is to show what was written from here. */
export const positioned = (position = reached) => (position ? { "Loyalty-Min-Position": position } : {});

/** pathTo puts ids into a path, and what is asked for behind it. */
export function pathTo(ids, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
  return "/" + ids.map(encodeURIComponent).join("/") + (given.length > 0 ? "?" + new URLSearchParams(given) : "");
}

/** read gets an answer in JSON, however long it takes: what is passing is said, and tried again, until signal is aborted. */
export async function read(path, signal) {
  try {
    return await patient(() => call("GET", path, { headers: positioned(), signal }), signal, (problem) => {
      said.set(signal, problem.code === "not_caught_up" ? "What you changed is recorded, but these figures don't show it yet." : problem.message);
      saySo();
    });
  } finally {
    said.delete(signal);
  }
}

// What the reads that wait have been told, by their signals.
const said = new Map();

function saySo() {
  for (const signal of said.keys()) if (signal.aborted) said.delete(signal);
  const [text] = said.values();
  const trouble = document.getElementById("trouble");
  const now = text ? `${text} Trying again…` : "";
  if (trouble.textContent !== now) trouble.replaceChildren(...(now ? [el("p", { class: "banner warn" }, now)] : []));
}

/** latest makes work into a function each of whose calls takes the place of the one before. Work is given a signal. */
export function latest(work) {
  let current = new AbortController();
  const run = async (...given) => {
    current.abort();
    const mine = current = new AbortController();
    try {
      return await work(mine.signal, ...given);
    } catch (error) {
      if (!mine.signal.aborted) throw error;
    } finally {
      saySo();
    }
  };
  run.stop = () => current.abort();
  return run;
}

const plainly = {
  already_decided: "A colleague has decided this meanwhile, the other way. Nothing was changed now.",
  customer_forgotten: "This customer was forgotten: their points can't be changed any more. Nothing was changed now.",
  own_request: "You asked for this yourself: a colleague has to approve it.",
  not_found: "There is nothing here any more under this id.",
  adjustment_points_limit: "That is more points than one adjustment may give or take. Nothing was changed.",
  forbidden: "What you are signed in as does not allow this.",
};

/** inWords is a problem with those of its messages that are for programs said in plain words. */
export function inWords(problem, words = {}) {
  problem.message = words[problem.code] ?? plainly[problem.code] ?? problem.message;
  return problem;
}

/** told is a line about a problem that no form is to blame for. */
export const told = (problem) => el("p", { class: "banner bad", role: "alert" },
  inWords(problem).message + (problem.status >= 500 && problem.id ? ` (request ${problem.id})` : ""));
