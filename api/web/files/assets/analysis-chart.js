// A chart of points over time: bars that stack the channels, what was taken back below the line. It is drawn for the width there is,
// and gone through with the pointer or the arrow keys.
import { el, number, signed } from "./site.js";
import { above, below, coarser, nameOf, net, series, whole } from "./analysis-series.js";
import { day } from "./analysis-time.js";

const height = 320, top = 24, bottom = 28, left = 52, right = 8;
// A bar of which is nothing to be seen.
const thinnest = 3;

/** Chart is drawn into a figure, again whenever its width changes. */
export class Chart {
  #figure;
  #days = [];
  #bars = [];
  // at is the bar that is chosen.
  #at;
  #place;
  #svg = el("svg", { "aria-hidden": "true" });
  #slider;
  #tip = el("div", { class: "tip", hidden: true });

  constructor(figure) {
    this.#figure = figure;
    this.#slider = el("div", {
      class: "through", role: "slider", tabindex: "0", "aria-label": "Through the chart", "aria-valuemin": "0",
      onkeydown: (event) => this.#key(event), onfocus: () => this.#select(this.#at), onblur: () => this.#leave(),
      onpointermove: (event) => this.#point(event), onpointerdown: (event) => this.#point(event), onpointerleave: () => this.#leave(),
    });
    figure.append(this.#svg, this.#slider, this.#tip);
    // What the pointer brought up goes away without moving it.
    document.addEventListener("keydown", ({ key }) => key === "Escape" && this.#leave());
    new ResizeObserver(() => this.#draw()).observe(figure);
  }

  /** show draws buckets of hours or days. */
  show(buckets) {
    this.#days = buckets;
    this.#at = undefined;
    this.#draw();
  }

  #draw() {
    const width = Math.floor(this.#figure.clientWidth);
    if (width === 0 || this.#days.length === 0) return;
    const before = this.#bars[this.#at];
    this.#bars = fitting(this.#days, width - left - right);
    this.#at = before && Math.max(0, this.#bars.findLastIndex(({ at }) => at <= before.at));
    this.#place = new Place(this.#bars, width);
    const svg = el("svg", { viewBox: `0 0 ${width} ${height}`, width, height, "aria-hidden": "true", focusable: "false" },
      this.#place.grid(), series.map((one) => this.#place.bars(one)), this.#place.line(),
      el("svg:rect", { class: "chosen", y: top, height: height - top - bottom, width: 0 }));
    this.#slider.setAttribute("aria-valuemax", this.#bars.length - 1);
    this.#tell(this.#at ?? this.#bars.length - 1);
    this.#svg.replaceWith(svg);
    this.#svg = svg;
    this.#leave();
    if (document.activeElement === this.#slider) this.#select(this.#at);
  }

  #key(event) {
    const last = this.#bars.length - 1, now = this.#at ?? last;
    const to = { ArrowLeft: now - 1, ArrowDown: now - 1, ArrowRight: now + 1, ArrowUp: now + 1, PageDown: now - 7, PageUp: now + 7, Home: 0, End: last }[event.key];
    if (to === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.#select(Math.min(Math.max(to, 0), last));
  }

  #point(event) {
    const x = event.clientX - this.#figure.getBoundingClientRect().left;
    const i = this.#place.at(x);
    if (i >= 0 && i < this.#bars.length) this.#select(i);
  }

  #leave() {
    this.#tip.hidden = true;
    this.#svg.querySelector(".chosen")?.setAttribute("width", 0);
  }

  #tell(i) {
    const bar = this.#bars[i], all = whole(bar.sums);
    const parts = bar.sums.map((sums, k) => [series[k].name, sums]).filter(([, sums]) => above(sums) !== 0 || below(sums) !== 0)
      .map(([name, sums]) => `${name} ${number(above(sums))}${below(sums) === 0 ? "" : `, taken back ${number(-below(sums))}`}`);
    this.#slider.setAttribute("aria-valuenow", i);
    this.#slider.setAttribute("aria-valuetext", `${nameOf(bar)}: ${parts.length > 0 ? `${parts.join("; ")}; in all ${signed(net(all))} points` : "nothing"}`);
  }

  /** select shows what is in a bar. */
  #select(i = this.#bars.length - 1) {
    this.#at = i;
    this.#tell(i);
    const bar = this.#bars[i], [x, wide] = this.#place.span(i);
    const chosen = this.#svg.querySelector(".chosen");
    chosen.setAttribute("x", x);
    chosen.setAttribute("width", wide);
    this.#tip.replaceChildren(el("strong", null, nameOf(bar)),
      el("table", null, el("tbody", null, bar.sums.map((sums, k) => (above(sums) !== 0 || below(sums) !== 0) && el("tr", null,
        el("th", { scope: "row" }, swatch(series[k]), series[k].name), el("td", { class: "num" }, signed(above(sums))),
        el("td", { class: "num" }, below(sums) === 0 ? "" : signed(below(sums))))),
      el("tr", { class: "sum" }, el("th", { scope: "row" }, "In all"), el("td", { class: "num", colspan: 2 }, signed(net(whole(bar.sums))))))));
    this.#tip.hidden = false;
    const room = this.#figure.clientWidth - this.#tip.offsetWidth, middle = x + wide / 2;
    const beside = middle < this.#figure.clientWidth / 2 ? x + wide + 12 : x - 12 - this.#tip.offsetWidth;
    this.#tip.style.transform = `translate(${Math.min(Math.max(0, beside), room)}px, ${top}px)`;
  }
}

/** fitting are the buckets, joined to weeks or months where single ones would be too thin to see. */
function fitting(buckets, width) {
  const fits = (all) => width / all.length >= thinnest;
  if (fits(buckets) || buckets[0].unit === "hour") return buckets;
  const weeks = coarser(buckets, "week");
  return fits(weeks) ? weeks : coarser(buckets, "month");
}

/** Place is where things are in a chart. */
class Place {
  constructor(bars, width) {
    this.all = bars;
    this.width = width;
    this.step = (width - left - right) / bars.length;
    const highest = Math.max(1, ...bars.map(({ sums }) => sums.reduce((sum, one) => sum + above(one), 0)));
    const lowest = Math.min(0, ...bars.map(({ sums }) => sums.reduce((sum, one) => sum + below(one), 0)));
    this.tick = round((highest - lowest) / 5);
    this.high = Math.ceil(highest / this.tick) * this.tick;
    this.low = lowest < 0 ? Math.max(lowest * 1.1, Math.floor(lowest / this.tick) * this.tick) : 0;
  }

  at(x) { return Math.floor((x - left) / this.step); }

  /** span is from where on and how wide a bar is, with the room around it. */
  span(i) { return [left + i * this.step, this.step]; }

  y(points) { return top + ((this.high - points) * (height - top - bottom)) / (this.high - this.low); }

  /** bars is one series in all bars. */
  bars({ i }) {
    const gap = this.step > 6 ? Math.min(8, this.step * 0.2) : this.step > 2.5 ? 1 : 0;
    let path = "";
    const box = (n, from, to) => {
      const x = left + n * this.step + gap / 2, wide = this.step - gap;
      const y = this.y(from), up = this.y(to);
      if (from !== to) path += `M${x.toFixed(2)} ${y.toFixed(2)}V${up.toFixed(2)}h${wide.toFixed(2)}V${y.toFixed(2)}z`;
    };
    this.all.forEach(({ sums }, n) => {
      const before = sums.slice(0, i), up = before.reduce((sum, one) => sum + above(one), 0), down = before.reduce((sum, one) => sum + below(one), 0);
      box(n, up, up + above(sums[i]));
      box(n, down, down + below(sums[i]));
    });
    return el("svg:path", { class: `bars series-${i}`, d: path || null });
  }

  line() {
    return el("svg:line", { class: "zero", x1: left, x2: this.width - right, y1: this.y(0), y2: this.y(0) });
  }

  grid() {
    const parts = [el("svg:text", { class: "title", x: 0, y: 12 }, `Points by ${this.all[0].unit}`)];
    for (let points = Math.ceil(this.low / this.tick) * this.tick; points <= this.high; points += this.tick) {
      const y = this.y(points);
      parts.push(el("svg:line", { class: "grid", x1: left, x2: this.width - right, y1: y, y2: y }),
        el("svg:text", { x: left - 8, y: y + 4, "text-anchor": "end" }, short(points || 0)));
    }
    for (const [i, text] of this.labels()) {
      // An hour begins at its mark; what is longer stands above its name.
      const hours = this.all[0].unit === "hour", x = left + (hours ? i : i + 0.5) * this.step;
      parts.push(el("svg:line", { class: "grid", x1: x, x2: x, y1: height - bottom, y2: height - bottom + 5 }),
        el("svg:text", { x, y: height - 8, "text-anchor": "middle" }, text));
    }
    return parts;
  }

  /** labels are what stands below the bars: as many as there is room for, at even moments. */
  labels() {
    const found = scales.map(({ fits, say }) => this.all.flatMap(({ at }, i) => (fits(new Date(at), this.all[0].unit) ? [[i, say.format(at)]] : [])));
    const room = (labels) => labels.every(([i], n) => n === 0 || (i - labels[n - 1][0]) * this.step >= 50);
    const labels = found.find((labels) => labels.length > 1 && room(labels)) ?? found.findLast((labels) => labels.length > 0) ?? [];
    return labels.filter(([i]) => this.width - left - i * this.step >= 28);
  }
}

const format = (options) => new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", ...options });
const clock = format({ hour: "2-digit", minute: "2-digit" }), days = format({ day: "numeric", month: "short" });
const months = format({ month: "short", year: "2-digit" }), years = format({ year: "numeric" });
const everyHours = (n) => ({ fits: (d, unit) => unit === "hour" && d.getUTCHours() % n === 0, say: clock });
const everyDays = (n) => ({ fits: (d, unit) => (unit === "day" || (unit === "hour" && d.getUTCHours() === 0)) && Math.floor(d / day) % n === 0, say: days });
const everyMonths = (n, say) => ({ fits: (d, unit) => (unit === "week" ? d.getUTCDate() <= 7 : d.getUTCDate() === 1 && d.getUTCHours() === 0) && d.getUTCMonth() % n === 0, say });
const scales = [everyHours(1), everyHours(2), everyHours(3), everyHours(6), everyDays(1), everyDays(2), everyDays(4), everyDays(7), everyDays(14),
  everyMonths(1, months), everyMonths(3, months), everyMonths(6, months), everyMonths(12, years)];

/** round is a step of 1, 2 or 5 times a power of ten, and no less than a number. */
function round(least) {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, least)));
  return [1, 2, 5, 10].map((n) => n * power).find((step) => step >= least);
}

const compact = new Intl.NumberFormat("en-GB", { notation: "compact", maximumFractionDigits: 1 });
const short = (points) => (Math.abs(points) < 10_000 ? number(points) : compact.format(points));

/** patterns tell the series apart without colours. They are there for whatever shows series, also while no chart does. */
export function patterns() {
  const pattern = (i, size, ...marks) => el("svg:pattern", { id: `series-${i}`, width: size, height: size, patternUnits: "userSpaceOnUse" },
    el("svg:rect", { class: `fill-${i}`, width: size, height: size }), marks);
  return el("svg", { class: "patterns", width: 0, height: 0, "aria-hidden": "true", focusable: "false" }, el("svg:defs", null,
    pattern(0, 8),
    pattern(1, 6, el("svg:path", { class: "mark", d: "M-1 1L1 -1M0 6L6 0M5 7L7 5" })),
    pattern(2, 6, el("svg:circle", { class: "spot", cx: 3, cy: 3, r: 1.3 })),
    pattern(3, 6, el("svg:path", { class: "mark", d: "M0 3H6" }))));
}

/** swatch is how a series looks. */
export function swatch({ i }) {
  return el("svg", { class: "swatch", viewBox: "0 0 16 16", width: 16, height: 16, "aria-hidden": "true", focusable: "false" },
    el("svg:rect", { class: `bars series-${i}`, width: 16, height: 16, rx: 3 }));
}
