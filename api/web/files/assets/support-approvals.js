// The adjustments that wait for a second person: kept up to date, and decided.
import { Problem, clearFaults, el, fault, number, say, signed, when } from "./site.js";
import { inWords, latest, pathTo, read, write } from "./support-api.js";
import { dropDraft, fill, keepDraft } from "./support-drafts.js";
import { busy, change, customerLink, inPoints, readForm } from "./support-parts.js";

const every = 30_000;

/** approvals sets up the list. Counted is called with what to show as its number, changed with a customer when something was decided. */
export function approvals(who, { counted, changed }) {
  const section = document.getElementById("approvals"), title = document.getElementById("approvals-title"), list = section.querySelector("ul");
  const age = document.getElementById("approvals-age"), older = document.getElementById("approvals-older");
  const shown = new Map();
  let pages = 1, known = -1, waiting = [], looked = 0;

  const refresh = latest(async (signal) => {
    looked = Date.now();
    const found = [];
    let answer = { next: "" };
    for (let page = 0; page < pages && (page === 0 || answer.next); page++) {
      answer = await read(pathTo(["approvals"], { cursor: answer.next }), signal);
      found.push(...answer.approvals);
    }
    waiting = found;
    arrange(found);
    older.hidden = !answer.next;
    const count = `${found.length}${answer.next ? "+" : ""}`;
    title.textContent = `Waiting for a second person (${count})`;
    age.replaceChildren(found.length === 0 ? "Nothing waits. " : "", ...(answer.asOf ? ["As of ", when(answer.asOf), "."] : []));
    if (known >= 0 && found.length > known) say(`${count} requests wait for a second person.`);
    known = found.length;
    counted(found.length === 0 ? "" : count);
  });

  const safely = async () => {
    try {
      await refresh();
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      age.textContent = inWords(problem).message;
    }
  };

  function arrange(found) {
    const keys = new Set(found.map(keyOf));
    for (const [key, item] of shown) {
      if (keys.has(key)) continue;
      if (item.gone()) shown.delete(key);
    }
    for (const approval of found) {
      const key = keyOf(approval);
      if (!shown.has(key)) shown.set(key, request(approval));
    }
    // Only what is out of its place is moved, so that the focus stays where it is.
    let place = list.firstElementChild;
    for (const approval of found) {
      const { element } = shown.get(keyOf(approval));
      while (place && !keys.has(place.dataset.key)) place = place.nextElementSibling;
      if (place === element) place = place.nextElementSibling;
      else list.insertBefore(element, place);
    }
  }

  const leave = (element, key) => {
    shown.delete(key);
    element.remove();
    title.focus();
  };

  /** request is one of the list, with what can be done about it. */
  function request(approval) {
    const { customerId, loyaltyId, points, reason, requestedBy, occurredAt } = approval;
    const key = keyOf(approval), own = requestedBy === who.subject, panel = el("div", { class: "panel" });
    const path = (what, query) => pathTo(["loyalty", customerId, "adjustments", loyaltyId, what], query);
    const what = `${signed(points)} for ${customerId}`;
    let decided = false;

    const close = (focusOn) => { panel.replaceChildren(); focusOn.focus(); };
    const finish = (text) => {
      decided = true;
      dropDraft(`decline ${key}`);
      const banner = el("p", { class: "banner good", tabindex: -1 }, text);
      panel.replaceChildren();
      element.replaceChildren(banner);
      banner.focus();
      changed(customerId);
      safely();
    };
    const trouble = (form, problem) => {
      if (!(problem instanceof Problem)) throw problem;
      const words = { not_found: "This does not wait any more." };
      if (problem.passing || problem.status >= 500) problem.message = "No answer came. It may have been done or not; doing it again is safe, and can't count twice.";
      fault(form, inWords(problem, words));
      if (["already_decided", "not_found"].includes(problem.code)) {
        meanwhile();
        safely();
      }
    };

    const approve = el("button", { class: "button primary", type: "button", "aria-label": `Approve ${what}` }, "Approve");
    approve.addEventListener("click", () => busy(approve, async () => {
      const form = el("form", { class: "stack", novalidate: true });
      panel.replaceChildren(form);
      let before;
      try {
        await write(path("approval", { preview: true }));
        ({ points: before } = await read(pathTo(["loyalty", customerId, "trail"], { limit: 1 }), new AbortController().signal));
      } catch (problem) {
        return trouble(form, problem);
      }
      const button = el("button", { class: "button primary" }, `${points > 0 ? "Give" : "Take"} ${inPoints(Math.abs(points))}`);
      const heading = el("h3", { tabindex: -1 }, "This is what will happen");
      form.append(heading,
        el("p", null, `${customerId} has ${inPoints(before)}. `, el("strong", null, `${number(before)} ${points < 0 ? "−" : "+"} ${number(Math.abs(points))} = ${number(before + points)}`),
          ". It takes effect at once."),
        el("p", { class: "row" }, button, el("button", { class: "button", type: "button", onclick: () => close(approve) }, "Cancel")));
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        busy(button, async () => {
          clearFaults(form);
          try {
            await write(path("approval"));
            finish(`Approved: ${what}.`);
          } catch (problem) {
            trouble(form, problem);
          }
        });
      });
      heading.focus();
    }));

    const decline = el("button", { class: "button", type: "button", "aria-label": `${own ? "Take it back:" : "Decline"} ${what}` }, own ? "Take it back" : "Decline");
    decline.addEventListener("click", () => {
      const button = el("button", { class: "button danger" }, own ? "Take it back" : "Decline");
      const form = el("form", { class: "stack", novalidate: true },
        el("label", { class: "field" }, "Why? ", el("span", { class: "hint" }, "Name a ticket, not a person. It is kept for ever and read by colleagues and auditors, not shown to the customer."),
          el("input", { name: "reason", type: "text", autocomplete: "off" })),
        el("p", { class: "row" }, button, el("button", { class: "button", type: "button", onclick: () => close(decline) }, "Cancel")));
      fill(form, `decline ${key}`);
      form.addEventListener("input", () => keepDraft(`decline ${key}`, readForm(form)));
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        busy(button, async () => {
          clearFaults(form);
          try {
            await write(path("refusal"), { reason: form.elements.reason.value });
            finish(`${own ? "Taken back" : "Declined"}: ${what}.`);
          } catch (problem) {
            trouble(form, problem);
          }
        });
      });
      panel.replaceChildren(form);
      form.elements.reason.focus();
    });

    const element = el("li", { class: "card", dataset: { key } },
      el("div", { class: "request" },
        el("div", null,
          el("p", null, el("span", { class: "amount" }, change(points)), " ", Math.abs(points) === 1 ? "point" : "points", " for ", customerLink(customerId)),
          el("p", { class: "why" }, `“${reason}”`),
          el("p", { class: "muted small" }, "asked by ", own ? "you" : requestedBy, ", ", when(occurredAt))),
        el("div", { class: "row" },
          own ? el("span", { class: "muted small" }, "You asked for this: a colleague has to approve it.") : approve, decline)),
      panel);

    /** gone is called when this does not wait any more. It tells whether the element could be taken away. */
    const gone = () => {
      if (!element.contains(document.activeElement) && !panel.hasChildNodes()) {
        element.remove();
        return true;
      }
      meanwhile();
      return false;
    };
    const meanwhile = () => {
      if (decided) return;
      decided = true;
      element.prepend(el("p", { class: "banner warn row" }, "This was decided meanwhile.",
        el("button", { class: "button quiet push", type: "button", onclick: () => leave(element, key) }, "Remove")));
    };
    return { element, gone };
  }

  const soon = () => { if (document.visibilityState === "visible" && Date.now() - looked > 1000) safely(); };
  addEventListener("focus", soon);
  document.addEventListener("visibilitychange", soon);
  setInterval(soon, every);
  older.addEventListener("click", () => busy(older, async () => {
    const last = list.lastElementChild;
    pages++;
    await safely();
    if (older.hidden) (last?.nextElementSibling ?? last)?.querySelector("a")?.focus();
  }));
  return { title, refresh: safely, of: (customer) => waiting.filter(({ customerId }) => customerId === customer) };
}

const keyOf = ({ customerId, loyaltyId }) => `${customerId}/${loyaltyId}`;
