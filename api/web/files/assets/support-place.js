// Where somebody is on the support page, in the fragment of its address: it can be shared and gone back to, and as it may name a
// customer, no server is sent it.

/** place is where we are: the parts of the address by name. */
export const place = () => Object.fromEntries(new URLSearchParams(location.hash.slice(1)));

/** to is the address of a place; parts that are empty are left out. */
export function to(parts) {
  const given = Object.entries(parts).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return "#" + new URLSearchParams(given);
}

/** go moves to a place, which can be gone back from unless it replaces this one. */
export function go(parts, replace = false) {
  if (replace) location.replace(to(parts));
  else location.hash = to(parts);
}

/** view is which part of the page shows a place. */
export function view({ view, customer, q }) {
  if (view === "audit" || view === "approvals") return view;
  if (customer) return "customer";
  return q ? "found" : "approvals";
}

/** filterNames are those parts of a place that say which entries of a trail are wanted. */
export const filterNames = ["kind", "channel", "order", "from", "until"];

/** filterOf takes the filter of a trail out of a place. */
export const filterOf = (parts) => Object.fromEntries(filterNames.filter((name) => parts[name]).map((name) => [name, parts[name]]));

/** times makes a filter by days, both of which are meant, into one by moments, as the API takes it. A day is the reader's own. */
export function times({ from, until, ...rest }) {
  return { ...rest, from: midnight(from, 0), until: midnight(until, 1) };
}

function midnight(day, later) {
  if (!day) return "";
  const [year, month, date] = day.split("-").map(Number);
  const moment = new Date(year, month - 1, date + later);
  return Number.isNaN(moment.getTime()) ? day : moment.toISOString();
}
