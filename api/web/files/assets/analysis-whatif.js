// What if another policy had applied: asks, tells how far it is, and shows what came of it.
import { Problem, clearFaults, fault, number, patient, request, say, signIn } from "./site.js";
import { Policy } from "./analysis-policy.js";
import { sideBySide } from "./analysis-report.js";
import { second, span } from "./analysis-time.js";

/** whatIf makes the part of the page about policies. */
export function whatIf(who) {
  const form = document.getElementById("policy"), policy = new Policy(form, who.subject);
  const panel = document.getElementById("running"), text = document.getElementById("running-text"), bar = document.getElementById("running-bar");
  const run = document.getElementById("run"), result = document.getElementById("report");
  let running;

  async function start() {
    clearFaults(form);
    let question;
    try {
      question = policy.question();
    } catch (problem) {
      return fault(form, problem);
    }
    const stopping = running = new AbortController();
    run.setAttribute("aria-disabled", "true");
    panel.hidden = false;
    bar.removeAttribute("value");
    text.textContent = "Starting…";
    say("Trying it out.");
    try {
      const response = await patient(() => ask(question, stopping.signal), stopping.signal, waiting);
      const found = await follow(response, stopping.signal);
      result.replaceChildren(...sideBySide(found, question));
      say(`Done: ${number(found.policy.difference)} points more or less under ${found.policy.id}.`);
      if (panel.contains(document.activeElement)) result.querySelector("h3").focus();
      if (result.getBoundingClientRect().top > innerHeight / 2) result.scrollIntoView();
    } catch (problem) {
      if (stopping.signal.aborted) say("Cancelled.");
      else if (problem instanceof Problem) fault(form, problem);
      else throw problem;
    } finally {
      if (panel.contains(document.activeElement)) run.focus();
      panel.hidden = true;
      run.removeAttribute("aria-disabled");
      running = undefined;
    }
  }

  function waiting(problem) {
    bar.removeAttribute("value");
    text.textContent = problem.code === "overloaded" ? "Another policy is being tried out at the moment. Yours is next: trying again…" : `${problem.message} Trying again…`;
  }

  async function ask(body, signal) {
    try {
      return await request("POST", "/what-if", { body, signal, headers: { Accept: "application/x-ndjson, application/problem+json" } });
    } catch (problem) {
      if (problem.status === 401) signIn(problem);
      throw problem;
    }
  }

  /** follow tells how far it is, until the report. */
  async function follow(response, signal) {
    let began;
    for await (const { progress, report, problem } of lines(response, signal)) {
      if (report) return report;
      if (problem) throw new Problem(problem.status, problem);
      if (began?.doing !== progress.doing) began = { at: performance.now(), ...progress };
      tell(progress, began);
    }
    throw new Problem(0, { detail: "The answer broke off before it was complete." });
  }

  function tell({ doing, done, total }, began) {
    const rate = (done - began.done) / (performance.now() - began.at);
    const left = doing !== "ranking" && rate > 0 && total > done ? ` · about ${span(Math.max(second, (total - done) / rate))} left` : "";
    const name = doing[0].toUpperCase() + doing.slice(1);
    const far = ["replaying", "ranking"].includes(doing) ? `${number(done)} of about ${number(total)} events` : `${Math.floor((100 * done) / total)} %`;
    text.textContent = total > 0 ? `${name}: ${far}${left}` : `${name}…`;
    if (total > 0) bar.value = done / total;
    else bar.removeAttribute("value");
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!running) start();
  });
  document.getElementById("cancel").addEventListener("click", () => running?.abort());

  return { show() {} };
}

/** lines are the values of an answer with one in each line. */
async function* lines(response, signal) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const all = (rest + value).split("\n");
      rest = all.pop();
      for (const line of all) if (line) yield JSON.parse(line);
    }
  } catch (error) {
    if (signal.aborted) throw error;
    throw new Problem(0, { detail: "The connection broke off before the answer was complete." });
  } finally {
    reader.cancel().catch(() => {});
  }
}
