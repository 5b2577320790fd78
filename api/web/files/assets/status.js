// The operators' page: how this process and what it works with fare, looked at again and again.
import { ago, el, number, Problem, request, say, when } from "./site.js";

const every = 2000;
// As many looks as five minutes have.
const kept = 150;
// An answer that takes longer is none.
const patience = 5000;

const $ = (id) => document.getElementById(id);

// What is shown of the counts: per second, or as it is.
const rates = [
  ["dashboards", "Dashboards/s"], ["orders", "Orders/s"], ["reads", "Reads/s"], ["writes", "Writes/s"],
  ["refused", "Refused/s"], ["failed", "Failed/s"], ["livePages", "Live pages", true],
].map(([name, label, now]) => {
  const value = el("p", { class: "value" }, "–");
  const line = el("svg:polyline", { points: "" });
  const spark = el("svg", { class: "spark", viewBox: `0 0 ${kept - 1} 100`, preserveAspectRatio: "none", "aria-hidden": "true" },
    el("svg:line", { x1: 0, x2: kept - 1, y1: 100, y2: 100 }), line);
  $("rates").append(el("li", { class: "card" }, el("p", { class: "muted small" }, label), value, spark));
  return { name, now, value, line, past: [] };
});

// The last answer, when it came by this page's clock, and what was last read out.
let last = null, came = 0, told = "";

const short = (n) => n === null ? "–" : n < 10 ? n.toFixed(1) : number(Math.round(n));

/** perSecond is by how much a count has grown, null if that can't be told: at first, and when the process began anew. */
function perSecond(before, after, of) {
  if (!before || before.started !== after.started) return null;
  const seconds = (Date.parse(after.now) - Date.parse(before.now)) / 1000;
  return seconds > 0 ? Math.max(0, of(after) - of(before)) / seconds : null;
}

function showRates(before, after) {
  for (const rate of rates) {
    const value = rate.now ? after.counts[rate.name] : perSecond(before, after, (status) => status.counts[rate.name]);
    rate.value.textContent = rate.now ? number(value) : short(value);
    if (value === null) continue;
    rate.past = [...rate.past, value].slice(-kept);
    const most = Math.max(...rate.past, 1);
    const begins = kept - rate.past.length;
    rate.line.setAttribute("points", rate.past.map((v, i) => `${begins + i},${(100 - 100 * v / most).toFixed(1)}`).join(" "));
  }
}

const chip = (kind, text) => el("span", { class: `chip ${kind}` }, text);

// A reason is long, and has a row of its own, for a column would be as narrow as the chip above it.
const note = (text, columns) => text ? [el("tr", { class: "note" }, el("td", { colspan: columns }, el("div", { class: "small" }, text)))] : [];

function projectionState({ live, caughtUp, stopped }) {
  if (stopped) return [chip("bad", "Stopped"), stopped];
  if (live) return [chip("good", "Live")];
  return [chip("warn", caughtUp ? "Cut off" : "Catching up"), caughtUp && "It follows the log no more, and goes on as soon as it can."];
}

function showTables(before, after) {
  $("projections").replaceChildren(...after.projections.flatMap((p) => {
    const was = before?.projections.find(({ name }) => name === p.name);
    const speed = was ? perSecond(before, after, (status) => (status === after ? p : was).applied) : null;
    const behind = p.lagEvents === null ? "not known" : (p.more ? "at least " : "") + number(p.lagEvents);
    const [state, why] = projectionState(p);
    return [el("tr", null, el("th", { scope: "row" }, p.name), el("td", null, state), el("td", { class: "num" }, behind),
      el("td", { class: "num" }, p.lagSeconds === null ? "not known" : short(p.lagSeconds)), el("td", { class: "num" }, short(speed))), ...note(why, 5)];
  }));
  $("stores").replaceChildren(...after.stores.flatMap(({ name, kind, up, took, why }) => [el("tr", null,
    el("th", { scope: "row" }, name, el("span", { class: "small muted" }, kind)),
    el("td", null, up ? chip("good", "Up") : chip("bad", "Down")),
    el("td", { class: "num" }, up ? `${short(took)} ms` : "–")), ...note(why, 3)]));
}

function showVerdict(status) {
  const ready = !status.notReady, down = status.stores.filter(({ up }) => !up).map(({ name }) => name);
  const stopped = status.projections.filter(({ stopped }) => stopped).map(({ name }) => name);
  const alarm = stopped.length > 0 && `Stopped, until somebody acts: ${stopped.join(", ")}.`;
  $("verdict").textContent = ready ? alarm ? "Stopped" : "Ready" : "Not ready";
  $("verdict").parentElement.className = `card verdict ${ready && !alarm && down.length === 0 ? "good" : "bad"}`;
  $("why").textContent = status.notReady || alarm || (down.length > 0 ? `It answers, without: ${down.join(", ")}.` : "Everything it works with answers.")
    + (status.quarantined ? ` Events in quarantine: ${status.quarantined}.` : "");
  $("process").replaceChildren(el("span", null, `${status.roles.join(", ")}, since `, when(status.started)));
  const verdict = $("verdict").textContent;
  document.title = `${verdict === "Ready" ? "" : `${verdict} · `}Status · Loyalty`;
  tell(`${verdict}. ${$("why").textContent}`);
}

/** tell reads out what is another than before, but for figures in it. */
function tell(text) {
  const gist = text.replace(/\d+/g, "");
  if (gist !== told) say(text);
  told = gist;
}

function showSilence() {
  const age = came ? `These figures are ${ago((Date.now() - came) / 1000)} old.` : "";
  $("silent").replaceChildren(el("p", { class: "banner bad" }, el("strong", null, "The process does not answer. "), `${age} It is asked again every two seconds.`));
  tell("The process does not answer.");
}

async function look() {
  try {
    const response = await request("GET", "/status.json", { signal: AbortSignal.timeout(patience) });
    const status = await response.json();
    came = Date.now();
    $("silent").replaceChildren();
    showVerdict(status);
    showRates(last, status);
    showTables(last, status);
    last = status;
  } catch (error) {
    if (!(error instanceof Problem || error.name === "TimeoutError" || error instanceof TypeError || error instanceof SyntaxError)) throw error;
    showSilence();
  }
}

/** seen waits until somebody looks at the page. */
const seen = () => document.hidden ? new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true })).then(seen) : null;

for (;;) {
  await seen();
  await look();
  await new Promise((resolve) => setTimeout(resolve, every));
}
