// Finding a customer: by an id at once, by a proxy name after saying why.
import { Problem, clearFaults, el, fault, number, say, when } from "./site.js";
import { inWords, latest, pathTo, read, write } from "./support-api.js";
import { draft, dropDraft, fill, keepDraft, showing } from "./support-drafts.js";
import { busy, customerLink, readForm } from "./support-parts.js";
import { go, to } from "./support-place.js";

const shortcut = "loyalty.support.shortcut";

/** search sets up the search box. Its find shows what an address asks for. */
export function search(who) {
  const form = document.getElementById("search"), input = form.elements.q;
  const into = document.querySelector("#found .into"), title = document.getElementById("found-title");
  let asked = "";
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearFaults(form);
    const q = asked = input.value.trim();
    if (q && location.hash !== to({ q })) go({ q });
    else find(q);
  });
  listenForSlash(input);

  const find = latest(async (signal, q) => {
    // Whoever has just asked is taken to the one there is; whoever comes back, or has the address from a colleague, sees the list.
    const direct = asked === q;
    asked = "";
    title.textContent = `Search for “${q}”`;
    into.replaceChildren(el("p", { class: "muted" }, "Looking…"));
    let found;
    try {
      found = await read(pathTo(["search"], { q }), signal);
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      into.replaceChildren();
      return fault(form, problem);
    }
    const { matches, more, proxyName } = found;
    if (matches.length === 1 && !proxyName && direct) {
      say(`Found customer ${matches[0].customerId}.`);
      return go(placeOf(matches[0]), true);
    }
    const said = proxyName ? `${customers(proxyName.customers)} this proxy name.` : `${count(matches.length, more)} found.`;
    into.replaceChildren(proxyName ? named(proxyName, who) : matches.length > 0 ? el("p", null, said) : el("p", null,
      "Nothing has this id. Ids are found whole, and upper and lower case differ."),
    el("ul", { class: "results" }, matches.map((match) => el("li", { class: "card" }, result(match)))));
    say(said);
  });

  const fields = showing(form, "search");
  return { find, show: (q) => { fields({ q }); clearFaults(form); }, stop: find.stop };
}

const count = (n, more) => (n === 0 ? "Nothing" : more ? `The first ${n} matches` : n === 1 ? "1 match" : `${n} matches`);
const customers = (n) => (n === 0 ? "Nobody has" : n === 1 ? "1 customer has" : `${number(n)} customers have`);

const placeOf = ({ by, customerId, entryId }) => (by === "customer" ? { customer: customerId } : { customer: customerId, entry: entryId });

const kinds = { customer: "Customer", order: "Order", return: "Return", loyalty: "Adjustment" };

function result(match) {
  return [
    el("span", { class: "chip" }, kinds[match.by]),
    el("a", { href: to(placeOf(match)) }, match.by === "customer" ? match.customerId : `of customer ${match.customerId}`),
    match.orderId && el("span", { class: "muted" }, `order ${match.orderId}`),
    match.occurredAt && el("span", { class: "muted" }, when(match.occurredAt)),
  ];
}

// Who was revealed while this page was open, by name: to look at them again is no reveal again.
const revealed = new Map();

/** named is what can be told of a proxy name: how many have it, and who they are once it is recorded why. */
function named({ name, customers: n }, who) {
  const card = el("div", { class: "card stack" }, el("p", null, customers(n) + " the name ", el("strong", null, name), "."));
  if (n === 0) return card;
  if (revealed.has(name)) {
    card.append(...theseAre(revealed.get(name)));
    return card;
  }
  if (!who.scopes.includes("reveal")) {
    card.append(el("p", { class: "banner" }, "Who that is, is told only to support whose token has the right ", el("code", null, "reveal"),
      `. Yours (${who.subject}) has not: ask a colleague who has it, or those who give out the roles.`));
    return card;
  }
  const key = `reveal ${name}`;
  const form = el("form", { class: "stack", novalidate: true },
    el("label", { class: "field" }, "Why do you need to know? ",
      el("span", { class: "hint", id: "reveal-hint" }, "Name a ticket, not a person. It is kept for ever, with your name and the time, and read by colleagues and auditors, not shown to the customer."),
      el("input", { name: "reason", type: "text", autocomplete: "off", "aria-describedby": "reveal-hint" })),
    el("p", null, el("button", { class: "button primary" }, "Reveal who it is")));
  fill(form, key);
  form.addEventListener("input", () => keepDraft(key, readForm(form)));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    busy(form.querySelector("button"), async () => {
      clearFaults(form);
      // The id is the reveal's for as long as nobody knows whether it was recorded: what is sent again is recorded once.
      const sent = { proxyName: name, reason: form.elements.reason.value };
      if (draft(key).sent !== JSON.stringify(sent)) keepDraft(key, { id: crypto.randomUUID(), sent: JSON.stringify(sent) });
      try {
        const answer = await write("/reveals", sent, { "Idempotency-Key": draft(key).id });
        revealed.set(name, answer.customers);
      } catch (problem) {
        if (!(problem instanceof Problem)) throw problem;
        if (problem.code === "conflict") keepDraft(key, { sent: "" });
        return fault(form, inWords(problem, { not_found: "Nobody has this name any more. Nothing was recorded." }));
      }
      dropDraft(key);
      const shown = theseAre(revealed.get(name));
      form.replaceWith(...shown);
      shown[1].querySelector("a").focus();
      say("Recorded. " + shown[0].textContent);
    });
  });
  card.append(form);
  return card;
}

const theseAre = (ids) => [
  el("p", null, ids.length === 1 ? "This is:" : "These are:"),
  el("ul", { class: "results" }, ids.map((id) => el("li", null, customerLink(id)))),
];

/** listenForSlash moves to the search on “/”, unless somebody types or has turned that off (WCAG 2.1.4). */
function listenForSlash(input) {
  const on = document.getElementById("shortcut");
  on.checked = localStorage.getItem(shortcut) !== "off";
  on.addEventListener("change", () => localStorage.setItem(shortcut, on.checked ? "on" : "off"));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || !on.checked || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, [contenteditable]")) return;
    event.preventDefault();
    input.focus();
    input.select();
  });
}
