// The points trail of one customer: filtered, a page at a time, and as a file.
import { Problem, clearFaults, el, fault, number, request, say, signIn, when } from "./site.js";
import { latest, pathTo, positioned, read, told } from "./support-api.js";
import { showing } from "./support-drafts.js";
import { busy, change, readForm, table } from "./support-parts.js";
import { filterOf, go, times, to } from "./support-place.js";

const perPage = 25;
const columns = [["When", "when"], ["What"], ["Amount", "num"], ["Points", "num"], ["Total", "num"]];

/** trail sets up the table of entries. Its show is called with each place that has a customer; again asks for the entries anew. */
export function trail() {
  const section = document.getElementById("trail"), form = document.getElementById("filter"), into = section.querySelector(".into");
  const age = document.getElementById("trail-age"), older = document.getElementById("trail-older"), csv = document.getElementById("trail-csv");
  let shown = {}, rows, next = "", asked = "";

  const page = (signal, cursor) =>
    read(pathTo(["loyalty", shown.customer, "trail"], { ...times(filterOf(shown)), cursor, limit: perPage }), signal);

  const load = latest(async (signal) => {
    clearFaults(form);
    let first;
    try {
      first = await page(signal, "");
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      asked = "";
      older.hidden = true;
      if (problem.errors.length > 0) return fault(form, problem);
      return into.replaceChildren(told(problem));
    }
    const filtered = Object.keys(filterOf(shown)).length > 0;
    rows = table(`Entries of customer ${shown.customer}, newest first`, columns);
    into.replaceChildren(first.entries.length > 0 ? rows.element
      : el("p", { class: "muted" }, filtered ? "No entry passes this filter." : "No entries yet."));
    if (first.entries.length > 0) add(first);
    else end("");
    age.replaceChildren(...(first.asOf ? ["as of ", when(first.asOf)] : []));
    if (filtered) say(first.next ? `The first ${first.entries.length} entries that pass the filter.` : `${first.entries.length} entries pass the filter.`);
  });

  const more = latest(async (signal) => {
    try {
      const answer = await page(signal, next);
      const first = add(answer);
      say(`${answer.entries.length} older entries, ${rows.body.rows.length} in all${answer.next ? "" : ". That is the beginning of the trail"}.`);
      // The button that had the focus is gone.
      if (!answer.next) first.querySelector("a").focus();
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      fault(form, problem);
    }
  });

  function add(answer) {
    const [first] = answer.entries.map((entry) => rows.add(cells(shown, entry), { dataset: { entry: entry.entryId } }));
    end(answer.next);
    mark();
    return first;
  }

  function end(cursor) {
    next = cursor ?? "";
    older.hidden = next === "";
  }

  function mark() {
    for (const row of rows?.body.rows ?? []) {
      const current = row.dataset.entry === shown.entry;
      row.classList.toggle("current", current);
      const link = row.querySelector("a");
      link.href = to({ ...shown, entry: row.dataset.entry });
      if (current) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const { customer, entry } = shown, wanted = { customer, entry, ...readForm(form) };
    if (to(wanted) === location.hash) load();
    else go(wanted);
  });
  const fields = showing(form, "filter");
  older.addEventListener("click", () => busy(older, more));
  document.getElementById("trail-again").addEventListener("click", ({ currentTarget }) => busy(currentTarget, async () => {
    await load();
    say("The trail is up to date.");
  }));
  csv.addEventListener("click", () => busy(csv, async () => {
    clearFaults(form);
    try {
      await download(shown);
      say("The file is ready.");
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      if (problem.status === 401) return signIn(problem);
      fault(form, problem);
    }
  }));

  return {
    load,
    stop() { load.stop(); more.stop(); },
    show(place, again) {
      const { customer, entry } = place, wanted = to({ customer, ...filterOf(place) });
      const another = customer !== shown.customer;
      shown = { customer, entry, ...filterOf(place) };
      document.getElementById("filter-clear").href = to({ customer, entry });
      if (wanted === asked && !again) return mark();
      asked = wanted;
      more.stop();
      fields({ customer, ...filterOf(place) });
      if (another) {
        rows = undefined;
        older.hidden = true;
        age.replaceChildren();
        into.replaceChildren(el("p", { class: "muted" }, "Looking…"));
      }
      load();
    },
    /** focusEntry puts the focus back to an entry, if it is shown. */
    focusEntry: (entry) => rows?.body.querySelector(`tr[data-entry="${CSS.escape(entry)}"] a`)?.focus(),
  };
}

const kinds = { award: "Award", reversal: "Reversal", adjustment: "By hand" };

/** named is what an entry is about, in a few words. */
export function named({ kind, orderId, returnId, loyaltyId }) {
  if (kind === "award") return `Order ${orderId}`;
  if (kind === "reversal") return `Return ${returnId} of order ${orderId}`;
  return `Adjustment ${loyaltyId}`;
}

const money = (amount, currency) => new Intl.NumberFormat("en-GB", { style: "currency", currency }).format(amount);

/** paid is an entry's amount; nothing where it has none. */
export const paid = ({ amount }) => (amount ? money(amount.amount, amount.currency) : "");

function cells(shown, entry) {
  const { entryId, kind, occurredAt, channel, actor, reason, points, total } = entry;
  return [
    when(occurredAt),
    el("div", null,
      el("a", { href: to({ ...shown, entry: entryId }), class: "id" }, named(entry)), " ", el("span", { class: "chip" }, kinds[kind]),
      el("div", { class: "muted small" }, [channel, actor && `by ${actor}`].filter(Boolean).join(", ")),
      reason && el("div", { class: "small why" }, `“${reason}”`)),
    paid(entry), change(points), number(total),
  ];
}

/** download asks for the whole trail, as it is filtered, and hands it to the browser as a file. */
async function download(shown) {
  const response = await request("GET", pathTo(["loyalty", shown.customer, "trail"], times(filterOf(shown))), { headers: { Accept: "text/csv", ...positioned() } });
  let file;
  try {
    file = await response.blob();
  } catch {
    throw new Problem(0, { detail: "The file broke off before its end. Try again." });
  }
  const address = URL.createObjectURL(file);
  const link = el("a", { href: address, download: `trail-${shown.customer}.csv` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
