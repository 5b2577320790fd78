// The leaderboard as of a moment, which a slider, buttons and a field choose.
import { Problem, clearFaults, el, fault, number, pause, say } from "./site.js";
import { Board } from "./analysis-board.js";
import { codeOf, end, range } from "./analysis-range.js";
import { Working, newest, read } from "./analysis-read.js";
import { day, hour, local, minute, moment, second, span, timeOf, utc } from "./analysis-time.js";

// How long the slider rests before the past is asked for.
const rest = 120;
// Steps of the arrow keys: the first of which it takes no more than 200 from one end to the other.
const steps = [1, 10, 100, second, 10 * second, minute, 10 * minute, hour, 6 * hour, day, 7 * day];
const tops = ["10", "20", "50", "100"];

/** past makes the part of the page about the leaderboard of a moment. keep notes what is shown in the address. */
export function past(keep) {
  const form = document.getElementById("moment"), slider = document.getElementById("slider");
  const { asOf: field, top } = form.elements;
  const text = document.getElementById("moment-text"), then = document.getElementById("then");
  const working = new Working(document.getElementById("past-working"));
  const board = new Board(document.querySelector("#board .scroll"));
  // known is the range; at is the moment chosen, null for now; typing tells that the field holds what is not chosen yet.
  let known, at = null, timer = 0, opened, typing = false;

  const step = () => steps.find((step) => (known.last - known.first) / step <= 200) ?? 30 * day;
  const clamp = (when) => Math.min(Math.max(when, known.first), known.last);

  /** label says which moment is chosen, before it is known what was then. */
  function label() {
    const when = at ?? known.last;
    text.textContent = at === null ? "Now" : moment(when);
    text.title = utc(when);
    slider.disabled = known.last <= known.first;
    slider.max = Math.max(1, known.last - known.first);
    slider.value = at === null ? slider.max : clamp(when) - known.first;
    slider.setAttribute("aria-valuetext", at === null ? `Now, ${moment(when)}` : moment(when));
    slider.style.setProperty("--done", `${(100 * slider.value) / slider.max}%`);
    // An answer that comes meanwhile takes nothing from whoever types.
    if (!typing) field.value = local(when);
  }

  /** choose moves to a moment, and asks for it when nothing else is chosen within some milliseconds. */
  function choose(when, within = 0) {
    at = when === null || when >= known.last ? null : when;
    typing = false;
    label();
    clearTimeout(timer);
    ask.stop();
    timer = setTimeout(load, within);
  }

  const ask = newest(async (signal) => {
    const options = { signal, waiting: (problem) => working.waiting(problem) };
    if (at !== null) return soon(`/leaderboard?asOf=${utc(at)}&top=${top.value}`, options);
    const now = await end(known.last, options);
    known.last = now.last;
    return read(`/leaderboard?asOf=${now.position}&top=${top.value}`, { ...options, headers: { "Loyalty-Min-Position": now.position } });
  });

  /** soon reads a moment that may not be known quite yet: the history is a little behind the ledger. */
  async function soon(path, options) {
    for (let tries = 0; ; tries++) {
      try {
        return await read(path, options);
      } catch (problem) {
        if (codeOf(problem) !== "moment_too_late" || at > known.last || tries === 5) throw problem;
        await pause(1, options.signal);
      }
    }
  }

  async function load() {
    clearFaults(form);
    board.busy(true);
    working.start("Looking back…");
    let answer;
    try {
      answer = await ask();
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      if (codeOf(problem) !== "moment_too_early") return failed(problem);
      answer = { top: [], customers: 0 };
    }
    working.stop();
    board.busy(false);
    label();
    tell(answer);
    keep({ ...(at !== null && { at: utc(at) }), ...(top.value !== "10" && { top: top.value }) });
  }

  function failed(problem) {
    working.stop();
    board.busy(false);
    if (problem.errors.length > 0) fault(form, problem);
    else working.failed(problem);
  }

  function tell({ top: rows, customers }) {
    const when = at ?? known.last, name = at === null ? "now" : moment(when);
    const count = customers === 0 ? "Nobody had points yet" : `${number(customers)} ${customers === 1 ? "customer" : "customers"}`;
    then.replaceChildren(el("strong", { id: "customers" }, count), ...(at === null ? [" · as of ", timeOf(when)] : [` · ${span(known.last - when)} ago`]));
    board.show({ rows, customers, asked: Number(top.value), name });
    say(rows.length === 0 ? `${name}: ${count}.` : `${name}: ${count}. First is ${rows[0].proxyName ?? "a customer"} with ${number(rows[0].points)} points.`);
  }

  function ready() {
    document.getElementById("slider-from").replaceChildren(timeOf(known.first));
    document.getElementById("slider-until").replaceChildren("now");
    document.getElementById("slider-hint").textContent =
      `Arrow keys move the slider by ${step() < second ? `${step()} ms` : span(step())}, Page Up and Page Down by ten times that. A moment shows what had been recorded by then.`;
    density(document.getElementById("density"), known);
  }

  slider.addEventListener("input", () => choose(known.first + Number(slider.value), rest));
  slider.addEventListener("keydown", (event) => {
    const keys = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 };
    if (!(event.key in keys) || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    choose(clamp((at ?? known.last) + keys[event.key] * step()), rest);
  });
  for (const button of form.querySelectorAll("[data-step]")) {
    button.addEventListener("click", () => known && choose(clamp((at ?? known.last) + second * Number(button.dataset.step))));
  }
  document.getElementById("to-now").addEventListener("click", () => known && choose(null));
  top.addEventListener("change", () => known && choose(at));
  field.addEventListener("input", () => { typing = true; });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!known || field.value === local(at ?? known.last)) return;
    const when = new Date(field.value).getTime();
    if (Number.isNaN(when)) fault(form, new Problem(0, { errors: [{ field: "asOf", detail: "Say a day and a time." }] }));
    // What is beyond the slider is for the API to refuse.
    else if (when > known.last) at = when, load();
    else choose(when);
  });

  async function open() {
    working.start("Looking for the first entry…");
    try {
      known = await range({ signal: new AbortController().signal, waiting: (problem) => working.waiting(problem) });
    } catch (problem) {
      opened = false;
      return working.failed(problem);
    }
    document.querySelector("#past .empty").hidden = Boolean(known);
    form.hidden = board.hidden = !known;
    working.stop();
    if (known) return ready();
    opened = false;
    setTimeout(() => !document.getElementById("past").hidden && show({}), 5 * second);
  }

  /** show goes to the moment of an address. */
  async function show(parts) {
    if (tops.includes(parts.top)) top.value = parts.top;
    opened ||= open();
    await opened;
    if (known) choose(Number.isNaN(Date.parse(parts.at)) ? null : Date.parse(parts.at));
  }

  return { show };
}

/** density draws how much was awarded when, along the slider. */
function density(into, { first, last, length, awarded }) {
  const width = Math.max(1, last - first), most = Math.max(1, ...awarded.map(([, points]) => points));
  const bars = awarded.map(([at, points]) => {
    const from = Math.max(at, first), until = Math.max(from, Math.min(at + length, last));
    const height = (24 * points) / most;
    return el("svg:rect", { x: (1000 * (from - first)) / width, width: Math.max(0, (1000 * (until - from)) / width), y: 24 - height, height });
  });
  // A few hours say nothing.
  into.hidden = bars.length < 6;
  into.replaceChildren(el("svg", { viewBox: "0 0 1000 24", preserveAspectRatio: "none" }, bars));
}
