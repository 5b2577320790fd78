// What staff did, for those who audit it.
import { Problem, clearFaults, el, fault, say, signed, when } from "./site.js";
import { latest, pathTo, read, told } from "./support-api.js";
import { showing } from "./support-drafts.js";
import { busy, customerLink, readForm, table } from "./support-parts.js";
import { go, times, to } from "./support-place.js";

const columns = [["When", "when"], ["What"], ["Customer"], ["By", "id"], ["Why", "why"]];
const kinds = { requested: "Requested", approved: "Approved", declined: "Declined", forgotten: "Forgotten", certified: "Certified", revealed: "Revealed" };

/** audit sets up the table. Its show is called with a place of the audit. */
export function audit() {
  const section = document.getElementById("audit"), form = section.querySelector("form"), into = section.querySelector(".into");
  const older = document.getElementById("audit-older");
  let asked = {}, next = "", rows;

  const page = (signal, cursor) => {
    const { view, ...filter } = asked;
    return read(pathTo(["acts"], { ...times(filter), cursor }), signal);
  };

  const load = latest(async (signal) => {
    clearFaults(form);
    try {
      const answer = await page(signal, "");
      rows = table("What staff did, newest first", columns);
      add(answer);
      into.replaceChildren(answer.acts.length > 0 ? rows.element : el("p", { class: "muted" }, "Nothing of the kind."));
      say(`${answer.next ? "The first " : ""}${answer.acts.length} found.`);
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      older.hidden = true;
      if (problem.errors.length > 0) fault(form, problem);
      else into.replaceChildren(told(problem));
    }
  });

  const more = latest(async (signal) => {
    try {
      const answer = await page(signal, next);
      const first = add(answer);
      say(`${answer.acts.length} older, ${rows.body.rows.length} in all.`);
      if (!answer.next) first?.querySelector("a").focus();
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      fault(form, problem);
    }
  });

  function add(answer) {
    next = answer.next ?? "";
    older.hidden = next === "";
    return answer.acts.map((act) => rows.add(cells(act)))[0];
  }

  older.addEventListener("click", () => busy(older, more));
  const fields = showing(form, "audit");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const wanted = { view: "audit", ...readForm(form) };
    if (to(wanted) === location.hash) load();
    else go(wanted);
  });
  return {
    title: document.getElementById("audit-title"),
    stop() { load.stop(); more.stop(); },
    show(place) {
      asked = place;
      more.stop();
      fields(place);
      load();
    },
  };
}

function cells({ kind, customerId, points, reason, actor, occurredAt, decided }) {
  return [
    when(occurredAt),
    [el("span", { class: "chip" }, kinds[kind]), points ? ` ${signed(points)}` : "", decided === false ? el("span", { class: "muted" }, " waits") : ""],
    customerLink(customerId), actor, reason ?? "",
  ];
}
