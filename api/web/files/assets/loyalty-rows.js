// The rows of a dashboard: which there are, and what each is made of.

const numbers = new Intl.NumberFormat("en-GB");
export const number = (n) => numbers.format(n);
export const counted = (n, one, many) => `${number(n)} ${n === 1 ? one : many}`;

export function el(tag, props, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** put changes a text only if it is another, so that nothing is drawn or read out anew. */
export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** toPass is the points that a customer needs to be ahead of the one above: who reached a total first stays ahead. */
export const toPass = (above, you) => above.points - you.points + 1;

/** list joins the best and the neighbourhood to rows without repetition, with {gap} for the customers left out in between. */
export function list({ top, around }, most) {
  const rows = top.slice(0, most);
  const last = rows.at(-1)?.rank ?? 0;
  const near = around.filter((row) => row.rank > last);
  const gap = near.length > 0 ? near[0].rank - last - 1 : 0;
  return gap > 0 ? [...rows, { gap }, ...near] : [...rows, ...near];
}

/** customerRow is a row of the table, with a function that fills it. */
export function customerRow() {
  const badge = el("span", { class: "badge" }, "You");
  const words = el("span", { class: "words" });
  const digits = el("span", { class: "digits" });
  const cell = (name) => el("td", { class: name, role: "cell" });
  const [rank, points] = [cell("rank"), cell("points")];
  const tr = el("tr", { role: "row" }, rank, el("th", { class: "name", scope: "row", role: "rowheader" }, badge, " ", words, " ", digits), points);
  tr.fill = (row) => {
    const [, name, nth] = /^(.*?)(?: (\d{6}))?$/.exec(row.proxyName ?? (row.you ? "" : "A customer"));
    put(rank, number(row.rank));
    put(words, name);
    put(digits, nth ?? "");
    put(points, number(row.points));
    badge.hidden = !row.you;
    tr.classList.toggle("self", row.you);
    tr.classList.toggle("best", row.rank <= 3);
  };
  return tr;
}

/** gapRow stands for the customers between the best and the neighbourhood. */
export function gapRow() {
  const cell = el("td", { colspan: "3", role: "cell" });
  const tr = el("tr", { class: "gap", role: "row" }, cell);
  tr.fill = ({ gap }) => put(cell, `… ${counted(gap, "customer", "customers")} in between …`);
  return tr;
}
