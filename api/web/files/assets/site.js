// What all pages share: calls of the API, the way to the sign-in, faults beside their fields, and how things are written.

/** Problem is what the API, or the lack of a connection, said instead of an answer (RFC 9457). */
export class Problem extends Error {
  constructor(status, body = {}, retryAfter = 0) {
    super(body.detail || body.title || "The system could not be reached. Look at your connection, and try again.");
    this.name = "Problem";
    this.status = status;
    this.code = body.code || (status === 0 ? "offline" : "unknown");
    this.errors = body.errors || [];
    this.id = body.id || "";
    /** After how many seconds it makes sense to try again; 0 if the answer did not say. */
    this.retryAfter = retryAfter;
  }

  /** passing tells whether the same may go well in a moment. */
  get passing() { return this.status === 0 || this.status === 429 || this.status === 503; }
}

/** problemOf reads what an answer that is no success says. */
async function problemOf(response) {
  let body = {};
  try {
    body = await response.json();
  } catch {
    body = { detail: `The answer was ${response.status}, without an explanation. Try again later.` };
  }
  return new Problem(response.status, body, Number(response.headers.get("Retry-After")) || 0);
}

/** request is fetch on this origin, whose answer is a success. It throws a Problem; an abort is thrown as it is. */
export async function request(method, path, { body, headers = {}, signal } = {}) {
  const init = { method, signal, headers: { Accept: "application/json", ...headers }, credentials: "same-origin", cache: "no-store" };
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers["Content-Type"] = "application/json";
  }
  let response;
  try {
    response = await fetch(path, init);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem(0);
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

/** call is request for an answer in JSON; null if it is empty. A session that has ended goes to the sign-in. */
export async function call(method, path, options) {
  try {
    const response = await request(method, path, options);
    return response.status === 204 ? null : await response.json();
  } catch (error) {
    if (error instanceof Problem && error.status === 401) signIn(error);
    if (error instanceof TypeError && !options?.signal?.aborted) throw new Problem(0);
    throw error;
  }
}

/** patient does work, again and again while what stands against it passes by itself, until signal is aborted. Each time waiting is told
 * what that is. */
export async function patient(work, signal, waiting) {
  for (let wait = 1; ; wait = Math.min(2 * wait, 15)) {
    let problem;
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof Problem) || !error.passing) throw error;
      problem = error;
    }
    waiting(problem);
    await pause(Math.max(wait, problem.retryAfter) * (1 + Math.random() / 2), signal);
  }
}

/** pause waits for seconds, or for the connection to come back, or until signal is aborted, which it throws. */
export function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const done = (settle, value) => () => {
      clearTimeout(timer);
      removeEventListener("online", over);
      signal.removeEventListener("abort", aborted);
      settle(value?.());
    };
    const over = done(resolve), aborted = done(reject, () => signal.reason);
    const timer = setTimeout(over, 1000 * seconds);
    addEventListener("online", over);
    signal.addEventListener("abort", aborted);
    if (signal.aborted) aborted();
  });
}

// Where somebody was before they had to sign in again. What is behind the # may name a customer: it stays in this tab, and no server
// log has it.
const placeKey = "loyalty-place";

// The server has browsers keep it for ten seconds after a sign-in, in all tabs.
const justSignedIn = "loyalty_just_signed_in=";
// When a page was last loaded anew because of that.
const anewKey = "loyalty-anew";

/** signInAt is the address of the sign-in that comes back to this page. With afresh the identity provider asks who it is. */
export const signInAt = (afresh) => "/sign-in?" + new URLSearchParams({ to: location.pathname, ...(afresh && { afresh }) });

let left = false;

/** leave has the page show nobody's data any more, and hear of none: what is under way must not bring it back, nor lead elsewhere. */
export function leave() {
  left = true;
  document.documentElement.hidden = true;
  dispatchEvent(new Event("loyalty-leave"));
}

/** signIn leaves the page for the sign-in, which comes back to where we are. A page that comes from there and is refused says so, and
 * stops: otherwise it would go round without end. Before that it is loaded anew once, for it may be another tab that has signed in, while
 * this page's session ended. The problem, if there is one, says why it was refused. */
export function signIn(problem) {
  if (left) return;
  sessionStorage.setItem(placeKey, JSON.stringify([location.pathname, location.hash]));
  if (!document.cookie.includes(justSignedIn)) return location.assign(signInAt());
  if (Date.now() - Number(sessionStorage.getItem(anewKey)) < 10_000) return refused(problem);
  sessionStorage.setItem(anewKey, Date.now());
  left = true;
  location.reload();
}

/** forgetSignIn makes a sign-in one of long ago. */
export const forgetSignIn = () => { document.cookie = `${justSignedIn}; Path=/; Max-Age=0`; };

function refused({ code, id } = {}) {
  const main = document.querySelector("main"), shown = [...main.children];
  leave();
  for (const part of shown) part.hidden = true;
  const why = code === "token_missing" ? "The session is not there any more: perhaps your browser keeps no cookies of this site."
    : "What the identity provider says of you is not accepted here.";
  main.prepend(el("div", { class: "stack", id: "refused", role: "alert" },
    el("h1", null, "You have just signed in, and were refused all the same"),
    el("p", null, why, id ? ` (Request ${id}.)` : ""),
    el("p", null, "Wait a moment, and try again. If it happens again, tell those who run this system."),
    el("p", { class: "row" }, el("a", { class: "button primary", href: signInAt() }, "Try again"), el("a", { class: "button", href: signInAt(true) }, "Sign in as somebody else"))));
  document.documentElement.hidden = false;
}

/** comeBack restores the place that was left for the sign-in. */
export function comeBack() {
  const [path, hash] = JSON.parse(sessionStorage.getItem(placeKey) ?? "[]");
  sessionStorage.removeItem(placeKey);
  if (path === location.pathname && !location.hash && hash) history.replaceState(null, "", hash);
}

/** el makes an element. Props are attributes; class, dataset and on… are what they are elsewhere, true is an empty attribute, and
 * false, null and undefined are none. */
export function el(tag, props, ...children) {
  const svg = tag === "svg" || tag.startsWith("svg:");
  const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag.replace("svg:", "")) : document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === false || value === null || value === undefined) continue;
    if (name === "dataset") Object.assign(element.dataset, value);
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const numbers = new Intl.NumberFormat("en-GB");
const signs = new Intl.NumberFormat("en-GB", { signDisplay: "exceptZero" });
const moments = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });

export const number = (n) => numbers.format(n);
export const signed = (n) => signs.format(n);

/** when shows a moment in the reader's time, with the whole of it in UTC behind. */
export function when(text) {
  const moment = new Date(text);
  if (Number.isNaN(moment.getTime())) return el("span", null, String(text ?? "–"));
  return el("time", { datetime: moment.toISOString(), title: moment.toISOString() }, moments.format(moment));
}

/** ago says how long seconds are, roughly. */
export function ago(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h`;
  return `${Math.floor(s / 86400)} d`;
}

let region;

/** say tells those who listen to the page what has happened, without taking them from where they are. */
export function say(text) {
  if (!region) {
    region = el("div", { class: "visually-hidden", role: "status", "aria-live": "polite" });
    document.body.append(region);
  }
  // The same text again is news too.
  region.textContent = region.textContent === text ? text + "\u00a0" : text;
}

const faultOf = (id) => document.getElementById(id);

/** clearFaults takes back what fault showed on a form. */
export function clearFaults(form) {
  for (const input of form.querySelectorAll("[aria-invalid]")) {
    input.removeAttribute("aria-invalid");
    faultOf(input.getAttribute("aria-describedby"))?.remove();
    if (input.dataset.describedby) input.setAttribute("aria-describedby", input.dataset.describedby);
    else input.removeAttribute("aria-describedby");
    delete input.dataset.describedby;
  }
  form.querySelector(":scope > .banner.fault-summary")?.remove();
}

let faults = 0;

/** fault shows a problem on a form: beside the fields it names, which are those of the same name or data-field, and on top what is
 * about none of them. The first field at fault gets the focus. */
export function fault(form, problem) {
  clearFaults(form);
  const rest = [];
  let first;
  for (const { field, detail } of problem.errors ?? []) {
    const input = [...form.querySelectorAll("input, select, textarea, fieldset")].find((i) => i.name === field || i.dataset.field === field);
    if (!input || input.type === "hidden" || input.getAttribute("aria-invalid")) {
      rest.push(detail);
      continue;
    }
    const note = el("span", { class: "fault", id: `fault-${++faults}` }, detail);
    if (input.hasAttribute("aria-describedby")) input.dataset.describedby = input.getAttribute("aria-describedby");
    input.setAttribute("aria-invalid", "true");
    input.setAttribute("aria-describedby", note.id);
    if (input.tagName === "FIELDSET") input.append(note);
    else input.after(note);
    first ??= input;
  }
  if (rest.length > 0 || !first) {
    const text = rest.length > 0 ? rest.join("; ") : problem.message;
    const named = problem.id && problem.status >= 500 ? ` (request ${problem.id})` : "";
    form.prepend(el("p", { class: "banner bad fault-summary", role: "alert" }, text + named));
  }
  first?.focus();
}
