// Pieces that several parts of the support page are made of.
import { el, signed } from "./site.js";
import { to } from "./support-place.js";

/** table is a table whose rows become cards where there is no room for columns; its roles are said, as a browser forgets them then.
 * Columns are [heading, class]; add puts rows into it, each a list of what is in its cells. */
export function table(caption, columns, props = {}) {
  const body = el("tbody", { role: "rowgroup" });
  const element = el("table", { class: "data cards", role: "table", ...props },
    el("caption", { class: "visually-hidden" }, caption),
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, columns.map(([heading, kind]) =>
      el("th", { scope: "col", role: "columnheader", class: kind }, heading)))),
    body);
  const add = (cells, props = {}) => {
    const row = el("tr", { role: "row", ...props }, cells.map((cell, i) => el("td", { role: "cell", class: columns[i][1], dataset: { label: columns[i][0] } },
      cell !== "" && el("div", null, cell))));
    body.append(row);
    return row;
  };
  return { element, body, add };
}

/** change is a change of points, with its sign and in its colour. */
export const change = (points) => el("span", { class: points < 0 ? "bad" : "good" }, signed(points));

/** points are so many of them. */
export const inPoints = (n) => `${n.toLocaleString("en-GB")} ${Math.abs(n) === 1 ? "point" : "points"}`;

/** customerLink leads to a customer. */
export const customerLink = (customer) => el("a", { href: to({ customer }), class: "id" }, customer);

/** readForm is what the fields of a form hold, by name and without the space around it. */
export const readForm = (form) => Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, value.trim()]));

/** busy keeps a button from being pressed twice while work is under way, without taking the focus away from it. */
export async function busy(button, work) {
  if (button.getAttribute("aria-disabled") === "true") return;
  button.setAttribute("aria-disabled", "true");
  try {
    await work();
  } finally {
    button.removeAttribute("aria-disabled");
  }
}
