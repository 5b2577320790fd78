// How the points of one entry came about: in words, in figures that must agree, and in the events as they are stored.
import { Problem, el, number, signed, when } from "./site.js";
import { latest, pathTo, read, told } from "./support-api.js";
import { change, table } from "./support-parts.js";
import { to } from "./support-place.js";
import { named, paid } from "./support-trail.js";

/** entry sets up the explanation. Its show is called with each place that has a customer; it tells whether another entry is shown. */
export function entry() {
  const section = document.getElementById("entry"), title = document.getElementById("entry-title"), into = section.querySelector(".into");
  let shown = "";
  const load = latest(async (signal, place) => {
    into.replaceChildren(el("p", { class: "muted" }, "Looking…"));
    title.textContent = "Entry";
    try {
      const answer = await read(pathTo(["loyalty", place.customer, "entries", place.entry]), signal);
      title.textContent = named(answer.entry);
      into.replaceChildren(...explained(place, answer));
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      into.replaceChildren(problem.status === 404 ? el("p", null, "This customer has no such entry.") : told(problem));
    }
  });
  return {
    title,
    show(place) {
      const { entry: id, ...rest } = place, wanted = id ? `${place.customer} ${id}` : "";
      document.getElementById("entry-close").href = to(rest);
      section.hidden = !id;
      if (wanted === shown) return false;
      shown = wanted;
      load.stop();
      if (id) load(place);
      return Boolean(id);
    },
  };
}

function explained(place, { entry, text, steps, proof, events }) {
  const fact = (name, ...value) => [el("dt", null, name), el("dd", null, ...value)];
  return [
    steps.length > 1 ? sums(place, entry.kind, steps, proof) : el("p", { class: "formula why" }, text),
    el("p", null, `With this entry the customer's points went from ${number(proof.before)} to ${number(proof.after)}.`),
    proof.agrees
      ? el("p", { class: "banner good" }, "Checked against the event store just now: everything agrees.")
      : el("div", { class: "banner bad" }, el("p", null, el("strong", null, "Something does not add up. Tell those who run this system:")),
        el("ul", { class: "inset" }, proof.trouble.map((line) => el("li", null, line)))),
    el("dl", { class: "facts" },
      fact("When", when(entry.occurredAt)),
      entry.amount && fact(entry.kind === "reversal" ? "Given back" : "Paid", paid(entry)),
      entry.orderId && fact("Order", entry.orderId, " ", el("a", { href: to({ customer: place.customer, order: entry.orderId, entry: entry.entryId }) }, "all its entries")),
      entry.channel && fact("Channel", entry.channel),
      entry.actor && fact("By", entry.actor),
      entry.reason && fact("Reason", entry.reason),
      entry.correlationId && fact("Request", el("code", null, entry.correlationId)),
      fact("Stored", `event ${entry.revision} of `, el("code", null, entry.stream), ", position ", el("code", null, entry.position))),
    el("details", null, el("summary", null, events.length === 1 ? "The event as it is stored" : `The ${events.length} events as they are stored`),
      events.map((event) => el("figure", { class: "event" },
        el("figcaption", { class: "small" }, el("strong", null, event.type), " ", when(event.storedAt)),
        el("pre", { class: "code", tabindex: 0, role: "region", "aria-label": `${event.type}, revision ${event.revision}` },
          JSON.stringify({ data: event.data, metadata: event.metadata }, null, 2))))),
  ];
}

function sums(place, kind, steps, { sum, computed }) {
  const { element, add } = table("What made up these points", [["Step", "why"], ["Points", "num"]], { class: "data" });
  for (const step of steps) {
    // What led to an adjustment is no entry of the trail; each step of an order is.
    const entry = kind !== "adjustment" || step.points !== 0;
    add([
      step.this ? el("strong", null, step.text, " ", el("span", { class: "chip good" }, "this entry"))
        : entry ? el("a", { href: to({ ...place, entry: step.eventId }) }, step.text) : step.text,
      step.points === 0 ? "" : change(step.points),
    ], { class: step.this && "current" });
  }
  add([computed === sum ? "Together, as it should be" : `Together; it should be ${signed(computed)}`, signed(sum)], { class: "sum" });
  return element;
}
