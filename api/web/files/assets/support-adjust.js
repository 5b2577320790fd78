// An adjustment: typed, looked at before it is made, and made once, however often it has to be sent.
import { Problem, clearFaults, el, fault, number, say } from "./site.js";
import { inWords, latest, pathTo, read, write } from "./support-api.js";
import { draft, dropDraft, fill, keepDraft } from "./support-drafts.js";
import { busy, inPoints } from "./support-parts.js";

/** adjust sets up the form. Its show is called with the customer looked at; changed is called when something was done. */
export function adjust(changed) {
  const section = document.getElementById("adjust"), form = section.querySelector("form");
  const done = section.querySelector(".done"), next = form.querySelector(".next");
  const points = form.elements["loyalty-points"], reason = form.elements.reason;
  let customer = "";
  const key = () => `adjust ${customer}`;

  // The id is the adjustment's for as long as nobody knows whether it was made: what is sent again can't count twice, not even with
  // something else in it.
  const send = (preview) => {
    if (!draft(key()).id) keepDraft(key(), { id: crypto.randomUUID() });
    return write(pathTo(["loyalty", customer], preview ? { preview: true } : {}),
      { "loyalty-points": pointsOf(points.value), reason: reason.value }, { "Idempotency-Key": draft(key()).id });
  };

  function typing() {
    clearFaults(form);
    next.replaceChildren(el("p", null, el("button", { class: "button primary" }, "Preview")));
    if (draft(key()).unsure) {
      next.prepend(el("p", { class: "banner warn" },
        "No answer came to what you sent. It may have been done or not. Sending it again is safe: it can't count twice."));
    }
  }

  const look = latest(async (signal) => {
    clearFaults(form);
    done.replaceChildren();
    try {
      const [answer, trail] = await Promise.all([send(true), read(pathTo(["loyalty", customer, "trail"], { limit: 1 }), signal)]);
      if (signal.aborted) return;
      if (answer.preview) confirm(answer, trail.points);
      else finish(answer);
    } catch (problem) {
      if (!signal.aborted) fail(problem);
    }
  });

  function confirm({ status, points: n }, before) {
    const alone = status === "made", what = `${n > 0 ? "Give" : "Take"} ${inPoints(Math.abs(n))}`;
    const heading = el("h4", { tabindex: -1 }, alone ? "This is what will happen" : "This will wait for a second person");
    const button = el("button", { class: "button primary", type: "button" }, alone ? what : `Ask to ${what.toLowerCase()}`);
    button.addEventListener("click", () => busy(button, make));
    next.replaceChildren(el("div", { class: "banner stack" }, heading,
      el("p", null, `${customer} has ${inPoints(before)}. ${alone ? "" : "Once approved: "}`, el("strong", null, `${number(before)} ${n < 0 ? "−" : "+"} ${number(Math.abs(n))} = ${number(before + n)}`), "."),
      el("p", null, alone ? "It takes effect at once. It can be balanced by another adjustment, and never deleted."
        : "It is more than you may give or take alone, at once or in a day. Nothing changes until somebody else approves it."),
      el("p", { class: "row" }, button, el("button", { class: "button", type: "button", onclick: () => { typing(); points.focus(); } }, "Change it"))));
    heading.focus();
  }

  async function make() {
    const whose = customer;
    clearFaults(form);
    keepDraft(key(), { unsure: true });
    points.readOnly = reason.readOnly = true;
    try {
      const answer = await send(false);
      if (whose === customer) finish(answer);
      else dropDraft(`adjust ${whose}`);
    } catch (problem) {
      if (whose === customer || !(problem instanceof Problem)) fail(problem);
    } finally {
      points.readOnly = reason.readOnly = false;
    }
  }

  function finish({ status, points: n }) {
    const [kind, text] = said(status, n, customer);
    dropDraft(key());
    form.reset();
    typing();
    const banner = el("p", { class: `banner ${kind}`, tabindex: -1 }, text);
    done.replaceChildren(banner);
    banner.focus();
    changed();
  }

  function fail(problem) {
    if (!(problem instanceof Problem)) throw problem;
    const { unsure } = draft(key()), lost = problem.passing || problem.status >= 500;
    if (unsure && !lost) keepDraft(key(), { unsure: false });
    if (problem.code === "conflict") {
      // The id belongs to what arrived before. What is typed now is another adjustment.
      keepDraft(key(), { id: "" });
      changed();
    }
    typing();
    if (unsure && lost) {
      const again = el("button", { class: "button primary", type: "button" }, "Send it again");
      again.addEventListener("click", () => busy(again, make));
      next.querySelector("button").parentElement.prepend(again, " ");
      next.querySelector("button:last-child").classList.remove("primary");
      again.focus();
      return say("No answer came. Sending it again is safe.");
    }
    fault(form, inWords(problem, { conflict: "What you sent before did arrive, with other points or another reason: it is in the trail. What you typed now was not done; preview it if you still want it." }));
  }

  form.addEventListener("input", () => {
    keepDraft(key(), { "loyalty-points": points.value, reason: reason.value });
    look.stop();
    typing();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const button = next.querySelector("button:not([type])");
    if (button) busy(button, look);
  });

  return {
    show(whom) {
      if (whom === customer) return;
      look.stop();
      customer = whom;
      form.reset();
      fill(form, key());
      done.replaceChildren();
      typing();
    },
  };
}

function said(status, n, customer) {
  const given = `${inPoints(Math.abs(n))} ${n > 0 ? "to" : "from"} ${customer}`;
  switch (status) {
    case "made": return ["good", `Done: ${n > 0 ? "gave" : "took"} ${given}.`];
    case "waiting": return ["warn", `Asked: to ${n > 0 ? "give" : "take"} ${given} waits until a colleague approves it.`];
    default: return ["warn", `A colleague declined it: nothing was done about ${given}.`];
  }
}

/** pointsOf reads points as people write them; what is no number is nothing, and the API says so. */
function pointsOf(text) {
  const plain = text.trim().replace(/[−–]/, "-").replace(/^\+\s*/, "").replace(/^-\s+/, "-");
  if (/^-?\d{1,3}(,\d{3})+$/.test(plain)) return Number(plain.replaceAll(",", ""));
  return /^-?\d+(\.\d+)?$/.test(plain) ? Number(plain) : undefined;
}
