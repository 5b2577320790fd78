// The support page: shows the place that its address names, and keeps its parts up to date with each other.
import { session } from "./session.js";
import { el, signed } from "./site.js";
import { adjust } from "./support-adjust.js";
import { approvals } from "./support-approvals.js";
import { audit } from "./support-audit.js";
import { since, standing } from "./support-customer.js";
import { openDrafts } from "./support-drafts.js";
import { entry } from "./support-entry.js";
import { place, view } from "./support-place.js";
import { search } from "./support-search.js";
import { trail } from "./support-trail.js";

const who = await session("support");
openDrafts(who.subject);

const audits = who.scopes.includes("audit");
document.getElementById("audit-link").hidden = !audits;
document.getElementById("views").hidden = false;
document.getElementById("search").hidden = false;
// A fragment is a place here, and not a part of the page.
document.querySelector("a.skip").addEventListener("click", (event) => {
  event.preventDefault();
  document.getElementById("main").focus();
});

const parts = {
  search: search(who), standing: standing(), since: since(), trail: trail(), entry: entry(), audit: audit(),
  adjust: adjust(() => changed(place().customer)),
  approvals: approvals(who, {
    changed(customer) { if (customer === place().customer) changed(customer); },
    counted(count) {
      waiting = count;
      document.getElementById("waiting").textContent = count;
      name();
      tellWaiting();
    },
  }),
};
const sections = Object.fromEntries(["found", "customer", "approvals", "audit"].map((id) => [id, document.getElementById(id)]));
const customerTitle = document.getElementById("customer-title");
let waiting = "", before = {};

/** changed shows again what may be another after something was done about a customer. */
function changed(customer) {
  parts.standing.load(customer);
  parts.trail.load();
  parts.approvals.refresh();
}

/** name has the browser's tab say where we are, and how many requests wait. */
function name() {
  const { customer, q } = place();
  const what = { customer, found: q, audit: "Audit" }[view(place())];
  document.title = [waiting && `(${waiting})`, [what, "Support", "Loyalty"].filter(Boolean).join(" · ")].filter(Boolean).join(" ");
}

/** tellWaiting says of the customer who is shown what waits to be decided. */
function tellWaiting() {
  document.getElementById("waits")?.remove();
  const { customer } = place(), requests = parts.approvals.of(customer);
  if (requests.length === 0) return;
  customerTitle.after(el("p", { class: "banner warn", id: "waits" },
    requests.length === 1 ? "An adjustment of " : "Adjustments of ", requests.map(({ points }) => signed(points)).join(", "), " points ",
    requests.length === 1 ? "waits" : "wait", " for a second person. ",
    el("a", { href: "#view=approvals" }, "See what waits")));
}

/** arrive shows the place that the address names. The focus goes to what is new there, but not on opening the page. */
function arrive(opening) {
  const now = place(), which = view(now);
  if (which === "audit" && !audits) return location.replace("#view=approvals");
  for (const [id, section] of Object.entries(sections)) section.hidden = id !== which;
  for (const link of document.querySelectorAll("#views a")) {
    if (link.dataset.view === which) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  let focus = before.view !== which && document.getElementById(`${which}-title`);
  parts.search.show(now.q ?? "");
  if (which === "found") {
    parts.search.find(now.q);
    focus = document.getElementById("found-title");
  } else {
    parts.search.stop();
  }
  if (which === "customer") {
    const another = before.customer !== now.customer, again = before.view !== which;
    if (another) {
      customerTitle.replaceChildren("Customer ", el("span", { class: "id" }, now.customer));
      focus = customerTitle;
    }
    if (another || again) parts.standing.load(now.customer);
    parts.since.show(now.customer);
    parts.adjust.show(now.customer);
    parts.trail.show(now, again);
    const left = !another && before.entry && !now.entry;
    if (parts.entry.show(now)) focus = parts.entry.title;
    if (left) parts.trail.focusEntry(before.entry);
  } else {
    parts.standing.stop();
    parts.trail.stop();
  }
  if (which === "audit") parts.audit.show(now);
  else parts.audit.stop();
  if (which === "approvals" && !opening) parts.approvals.refresh();
  name();
  tellWaiting();
  before = { view: which, customer: which === "customer" ? now.customer : before.customer, entry: now.entry };
  if (focus && !opening) focus.focus();
}

addEventListener("hashchange", () => arrive(false));
arrive(true);
parts.approvals.refresh();
