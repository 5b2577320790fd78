// Points over time by channel: a range, its chart, the same as a table and as a file, and its totals.
import { Problem, el, number, signed, say } from "./site.js";
import { Chart, patterns, swatch } from "./analysis-chart.js";
import { Working, newest, read } from "./analysis-read.js";
import { scrolls } from "./analysis-scroll.js";
import { above, below, buckets, csv, nameOf, net, series, totals, whole } from "./analysis-series.js";
import { day, hour, timeOf, utc } from "./analysis-time.js";

// The ranges end with the hour or day that is under way.
const ranges = {
  day: { by: "hour", length: day, title: "Points by hour, last day" },
  week: { by: "hour", length: 7 * day, title: "Points by hour, last 7 days" },
  month: { by: "day", length: 30 * day, title: "Points by day, last 30 days" },
  year: { by: "day", length: 365 * day, title: "Points by day, last year" },
  all: { by: "day", title: "Points by day, all" },
};

// kinds are the classes of the columns of totals.
const kinds = ["", "num optional", "num", "num", "num"];

/** points makes the part of the page about points over time. keep notes what is shown in the address. */
export function points(keep) {
  const form = document.getElementById("range"), title = document.getElementById("chart-title"), age = document.getElementById("points-age");
  const figure = document.getElementById("chart"), table = document.getElementById("points-table"), sums = document.getElementById("points-totals");
  const working = new Working(document.getElementById("points-working"));
  document.getElementById("points").append(patterns());
  const chart = new Chart(figure);
  scrolls(table, "Points over time as a table");
  scrolls(sums, "Totals by channel");
  let all = [];

  const ask = newest((signal, { by, length }) => {
    const unit = by === "hour" ? hour : day, until = Math.ceil(Date.now() / unit) * unit;
    const from = length ? `&from=${utc(until - length)}&until=${utc(until)}` : "";
    return read(`/earnings?by=${by}${from}`, { signal, waiting: (problem) => working.waiting(problem) });
  });

  const note = ({ range, as }) => keep({ ...(range.value !== "month" && { range: range.value }), ...(as.value === "table" && { as: "table" }) });

  async function load() {
    const range = ranges[form.elements.range.value];
    note(form.elements);
    figure.setAttribute("aria-busy", "true");
    working.start("Adding up…");
    let answer;
    try {
      answer = await ask(range);
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      return working.failed(problem);
    } finally {
      figure.removeAttribute("aria-busy");
    }
    working.stop();
    all = answer.from === null ? [] : buckets(answer);
    title.textContent = range.title;
    age.replaceChildren("Hours and days in UTC", ...(answer.asOf ? [" · as of ", timeOf(Date.parse(answer.asOf))] : []));
    tell();
    as();
  }

  function tell() {
    const parts = totals(all), sum = whole(parts);
    sums.replaceChildren(el("table", { class: "data totals" },
      el("caption", null, "In all"),
      el("thead", null, el("tr", null, ["Channel", "Orders", "Awarded", "Taken back", "Net"].map((name, i) => el("th", { scope: "col", class: kinds[i] }, name)))),
      el("tbody", null, series.map((one) => row([swatch(one), one.name], parts[one.i]))),
      el("tfoot", null, row("All", sum))));
    say(`${title.textContent}: ${number(sum.awarded)} points awarded, ${number(0 - sum.reversed)} taken back.`);
  }

  const row = (name, sums) => el("tr", null, el("th", { scope: "row" }, name),
    [number(sums.awards), number(sums.awarded), number(0 - sums.reversed), signed(net(sums))].map((text, i) => el("td", { class: kinds[i + 1] }, text)));

  /** as shows the chart or the table. */
  function as() {
    const tabular = form.elements.as.value === "table";
    figure.hidden = tabular || all.length === 0;
    table.hidden = !tabular;
    if (!tabular) {
      table.replaceChildren();
      chart.show(all);
      return;
    }
    table.replaceChildren(el("table", { class: "data" },
      el("caption", { class: "visually-hidden" }, `${title.textContent}: awarded, and what was taken back`),
      el("thead", null, el("tr", null, el("th", { scope: "col" }, form.elements.range.value.match(/day|week/) ? "Hour (UTC)" : "Day (UTC)"),
        series.map(({ name }) => el("th", { scope: "col", class: "num" }, name)), el("th", { scope: "col", class: "num" }, "Net"))),
      el("tbody", null, all.toReversed().map((bucket) => el("tr", null,
        el("th", { scope: "row" }, el("time", { datetime: utc(bucket.at) }, nameOf(bucket))),
        bucket.sums.map((sums) => el("td", { class: "num" }, cell(sums))),
        el("td", { class: "num" }, signed(net(whole(bucket.sums)))))))));
  }

  function cell(sums) {
    const taken = below(sums);
    return [number(above(sums)), taken !== 0 && el("span", { class: "small muted" }, ` ${signed(taken)}`)];
  }

  form.addEventListener("change", (event) => {
    if (event.target.name === "range") return load();
    note(form.elements);
    as();
  });
  document.getElementById("points-csv").addEventListener("click", () => {
    const address = URL.createObjectURL(new Blob([csv(all)], { type: "text/csv" }));
    el("a", { href: address, download: `points-${form.elements.range.value}.csv` }).click();
    URL.revokeObjectURL(address);
  });

  return {
    /** show goes to the range of an address. */
    show(parts) {
      if (parts.range in ranges) form.elements.range.value = parts.range;
      form.elements.as.value = parts.as === "table" ? "table" : "chart";
      return load();
    },
  };
}
