// The connection over which a dashboard is kept up to date.
import { EventStream } from "./loyalty-stream.js";

// Times in milliseconds. The server is heard of at least every 15 s; longer than silence, and the connection is lost.
const silence = 22_000;
const tokenPatience = 30_000;
// A token that lasted longer than this is asked for again at once when it ends, others after a wait.
const tokenLife = 10_000;
const firstRetry = 2_000;
const longestRetry = 60_000;
// The codes of a server, or of a subject of it, that has as many streams as may be.
const full = ["overloaded", "too_much_at_once"];

/** Refused is an answer that is no stream, or none at all (status 0). */
class Refused extends Error {
  constructor(status, code, message, retryAfter = 0) {
    super(message);
    Object.assign(this, { status, code, retryAfter });
  }

  /** final tells whether the same request would be answered the same way. */
  get final() { return this.status >= 400 && this.status < 500 && ![401, 408, 425, 429].includes(this.status); }
}

const unreachable = () => new Refused(0, "offline", "The server can't be reached.");

async function refusedBy(response) {
  let problem = {};
  try {
    problem = await response.json();
  } catch {
    // Not every server on the way explains itself.
  }
  const text = problem.detail || problem.title || `The server answered ${response.status}.`;
  return new Refused(response.status, problem.code || "unknown", text, Number(response.headers.get("Retry-After")) || 0);
}

/** Tokens is where a connection has its token from: one that was set, or a function to ask. */
export class Tokens {
  token = "";
  ask = null;
  // What the function gave, until it expires.
  granted = "";

  get any() { return this.token !== "" || this.ask !== null; }

  /** get is the token to ask with; empty for the session of the page itself. */
  async get(signal) {
    if (!this.ask) return this.token;
    if (this.granted) return this.granted;
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(reject, tokenPatience, new Error("getToken does not answer"));
      signal.addEventListener("abort", () => reject(new Error("the connection is closed")));
    });
    let token;
    try {
      token = await Promise.race([this.ask(), late]);
    } catch (error) {
      throw new Refused(0, "token_unavailable", `There is no token: ${error?.message ?? error}`);
    } finally {
      clearTimeout(timer);
    }
    if (typeof token !== "string" || token === "") throw new Refused(0, "token_unavailable", "There is no token: getToken gave none");
    this.granted = token;
    return token;
  }

  /** spent is told of a token that is not accepted any more, and tells whether another has been set meanwhile. */
  spent(token) {
    this.granted = "";
    return !this.ask && token !== this.token;
  }
}

/**
 * Connection reads the events of one address until it is closed, and comes back whenever they end: after the time that the server
 * says, ever more rarely while it fails, and never at the same time as all others. It calls hear.event with each event, hear.state with
 * how things are (lost, busy, expired or problem, the last two of which are its end) and hear.notify with what the page is to know.
 */
export class Connection {
  /** ahead is how far this machine's clock is ahead of the server's, in milliseconds. */
  ahead = 0;
  #url;
  #tokens;
  #hear;
  #lastEventId;
  #retry = firstRetry;
  #used = "";
  #waiting = false;
  #closed = new AbortController();
  #cut = () => {};
  #wake = () => {};

  constructor(url, tokens, lastEventId, hear) {
    this.#url = url;
    this.#tokens = tokens;
    this.#lastEventId = lastEventId;
    this.#hear = hear;
    this.#run(this.#closed.signal);
  }

  close() { this.#closed.abort(); }

  /** wake ends a wait, cut the stream. */
  wake() { this.#wake(); }
  cut() { this.#cut(); }

  async #run(signal) {
    let failures = 0;
    let refusals = 0;
    while (!signal.aborted) {
      const began = Date.now();
      let wait = this.#retry * (1 + Math.random() / 4);
      try {
        await this.#listen(signal, () => { failures = 0; });
        if (signal.aborted) return;
        if (!this.#waiting) this.#hear.state("lost");
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof Refused)) reportError(error);
        const problem = error instanceof Refused ? error : new Refused(0, "unreadable", "The server's answer can't be read.");
        if (problem.status === 401) {
          if (this.#tokens.spent(this.#used)) continue;
          this.#hear.notify("loyalty-token-expired", { code: problem.code });
          // Who listens may have set another token, and so have begun anew.
          if (signal.aborted) return;
          if (!this.#tokens.ask) return this.#hear.state("expired");
          if (Date.now() - began > tokenLife) refusals = 0;
          if (++refusals === 1) continue;
          this.#hear.state("busy");
        } else {
          this.#hear.notify("loyalty-problem", { status: problem.status, code: problem.code, message: problem.message });
          if (signal.aborted) return;
          if (problem.final) return this.#hear.state("problem", problem.message);
          if (full.includes(problem.code)) await this.#look(signal);
          if (signal.aborted) return;
          this.#hear.state(problem.code === "offline" ? "lost" : "busy");
        }
        // Half of the wait is chance, so that those who lost a server together do not come back together.
        wait = Math.min(this.#retry * 2 ** failures++, longestRetry) * (0.5 + Math.random() / 2);
        wait = Math.max(wait, Math.min(problem.retryAfter * 1000, longestRetry) * (1 + Math.random() / 4));
      }
      await this.#pause(wait, signal);
    }
  }

  async #listen(signal, heard) {
    const connection = new AbortController();
    const cut = this.#cut = () => connection.abort();
    signal.addEventListener("abort", cut);
    let watch;
    const stillThere = () => {
      clearTimeout(watch);
      watch = setTimeout(cut, silence);
    };
    try {
      this.#used = await this.#tokens.get(connection.signal);
      stillThere();
      const response = await this.#ask(this.#url, "text/event-stream", connection.signal);
      if (!response.ok) throw await refusedBy(response);
      if (!response.headers.get("Content-Type")?.startsWith("text/event-stream")) throw new Refused(0, "no_stream", "The server's answer is no dashboard.");
      this.ahead = Date.now() - (Date.parse(response.headers.get("Date") ?? "") || Date.now());
      let expired = false;
      const stream = new EventStream((event) => {
        if (signal.aborted) return;
        heard();
        this.#waiting = event.type === "waiting";
        if (event.type === "expired") expired = true;
        else this.#hear.event(event);
      }, this.#lastEventId);
      const reader = response.body.getReader();
      for (;;) {
        const { done, value } = await reader.read().catch(() => {
          // A server that waits itself says nothing more.
          if (this.#waiting) return { done: true };
          throw unreachable();
        });
        if (done || signal.aborted) return;
        stillThere();
        stream.push(value);
        this.#lastEventId = stream.lastEventId;
        this.#retry = Math.min(stream.retry ?? this.#retry, longestRetry);
        if (expired) throw new Refused(401, "token_expired", "The token has expired.");
      }
    } finally {
      clearTimeout(watch);
      signal.removeEventListener("abort", cut);
      cut();
    }
  }

  /** look reads the dashboard once, where there is no room for a stream. What fails is tried again with the stream. */
  async #look(signal) {
    try {
      const response = await this.#ask(this.#url.replace("/live?", "?"), "application/json", signal);
      if (!response.ok) return;
      const data = await response.text();
      if (signal.aborted) return;
      this.#lastEventId = JSON.parse(data).position;
      this.#hear.event({ type: "dashboard", data, lastEventId: this.#lastEventId });
    } catch {
      // It is as if there had been no answer.
    }
  }

  async #ask(url, accept, signal) {
    const headers = { Accept: accept };
    if (this.#used) headers.Authorization = `Bearer ${this.#used}`;
    if (this.#lastEventId) headers["Last-Event-ID"] = this.#lastEventId;
    const credentials = this.#used ? "omit" : "same-origin";
    return fetch(url, { headers, signal, credentials, cache: "no-store", redirect: "error", referrerPolicy: "no-referrer" })
      .catch(() => { throw unreachable(); });
  }

  #pause(milliseconds, signal) {
    return new Promise((resolve) => {
      const end = this.#wake = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", end);
        resolve();
      };
      const timer = setTimeout(end, milliseconds);
      signal.addEventListener("abort", end);
    });
  }
}
