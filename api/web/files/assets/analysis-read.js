// How the analysis page asks the API: it waits where nobody answers for the moment, and of several of a kind only the newest counts.
import { call, el, patient } from "./site.js";

/** read is a patient GET for JSON. What it waits for is said by waiting. */
export const read = (path, { signal, headers, waiting }) => patient(() => call("GET", path, { signal, headers }), signal, waiting);

/** working is a line that says that there is work under way, once it takes longer than the blink of an eye. */
export class Working {
  #line;
  #timer;

  constructor(line) { this.#line = line; }

  start(text) {
    this.stop();
    this.#timer = setTimeout(() => this.#line.replaceChildren(el("span", { class: "bar", "aria-hidden": "true" }), el("span", { class: "small muted" }, text)), 300);
  }

  /** waiting says what stands against it. */
  waiting(problem) {
    clearTimeout(this.#timer);
    this.#line.replaceChildren(el("span", { class: "banner warn", role: "status" }, `${problem.message} Trying again…`));
  }

  /** failed says what it came to. */
  failed(problem) {
    this.stop();
    const id = problem.status >= 500 && problem.id ? ` (request ${problem.id})` : "";
    this.#line.replaceChildren(el("span", { class: "banner bad", role: "alert" }, problem.message + id));
  }

  stop() {
    clearTimeout(this.#timer);
    this.#line.replaceChildren();
  }
}

/** newest makes work, which is given a signal first, into a function each of whose calls takes the place of the one before. One that
 * was replaced never returns; what fails is thrown. */
export function newest(work) {
  let current = new AbortController();
  const run = async (...given) => {
    current.abort();
    const mine = current = new AbortController();
    try {
      const result = await work(mine.signal, ...given);
      if (!mine.signal.aborted) return result;
    } catch (error) {
      if (!mine.signal.aborted) throw error;
    }
    return new Promise(() => {});
  };
  run.stop = () => current.abort();
  return run;
}
