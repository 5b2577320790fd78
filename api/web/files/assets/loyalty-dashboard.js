// <loyalty-dashboard>: a customer's place on the leaderboard, kept up to date. A page of any shop can show it; docs/embedding.md says how.
import { Connection, Tokens } from "./loyalty-connection.js";
import { counted, customerRow, el, gapRow, list, number, put, toPass } from "./loyalty-rows.js";
import { sheet } from "./loyalty-style.js";

// Figures older than this say so, even while the connection lives.
const oldAge = 40_000;
const sayPace = 5_000;
const glide = { duration: 500, easing: "cubic-bezier(0.2, 0, 0, 1)" };

function ago(milliseconds) {
  const s = Math.max(0, Math.round(milliseconds / 1000));
  if (s < 60) return `${s} s ago`;
  if (s < 3600) return `${Math.floor(s / 60)} min ago`;
  return s < 86400 ? `${Math.floor(s / 3600)} h ago` : `${counted(Math.floor(s / 86400), "day", "days")} ago`;
}

/** LoyaltyDashboard is the element. Its attributes are customer, server, season, top and around; token and getToken are properties only. */
export class LoyaltyDashboard extends HTMLElement {
  static observedAttributes = ["customer", "server", "season", "top", "around"];
  /** hiddenFor is after how many milliseconds out of sight a page lets go of its connection. */
  static hiddenFor = 60_000;

  #tokens = new Tokens();
  #connection = null;
  // The end of what is under way between being put into a page and being taken out.
  #life = null;
  #hiding = 0;
  #due = false;
  #kind = "loading";
  #since = 0;
  #text = "";
  #figures = null;
  #received = 0;
  #ahead = 0;
  // What the figures are of, and how they were asked for.
  #subject = "";
  #url = "";
  #lastEventId = "";
  #rows = new Map();
  // What was last read out; without a rank before there was anything.
  #told = { cut: false };
  #toldAt = 0;
  #parts;

  get customer() { return this.getAttribute("customer") ?? ""; }
  set customer(id) { this.#reflect("customer", id); }
  get server() { return (this.getAttribute("server") || new URL(import.meta.url).origin).replace(/\/+$/, ""); }
  set server(url) { this.#reflect("server", url); }
  get season() { return this.getAttribute("season") ?? ""; }
  set season(id) { this.#reflect("season", id || null); }
  get top() { return this.#size("top", 10, 1, 100); }
  set top(n) { this.#reflect("top", n); }
  get around() { return this.#size("around", 2, 0, 50); }
  set around(n) { this.#reflect("around", n); }
  get token() { return this.#tokens.token; }
  set token(token) {
    this.#tokens.token = token ?? "";
    this.#soon();
  }
  get getToken() { return this.#tokens.ask; }
  set getToken(ask) {
    this.#tokens.ask = ask ?? null;
    this.#tokens.granted = "";
    this.#soon();
  }

  constructor() {
    super();
    this.#build();
  }

  connectedCallback() {
    // What was set before this file was loaded hides the accessors.
    for (const name of ["customer", "server", "season", "top", "around", "token", "getToken"]) {
      if (!Object.hasOwn(this, name)) continue;
      const value = this[name];
      delete this[name];
      this[name] = value;
    }
    this.#life = new AbortController();
    const { signal } = this.#life;
    addEventListener("online", () => this.#connection?.wake(), { signal });
    addEventListener("offline", () => this.#connection?.cut(), { signal });
    document.addEventListener("visibilitychange", () => this.#sight(), { signal });
    const clock = setInterval(() => this.#tick(), 1000);
    signal.addEventListener("abort", () => clearInterval(clock));
    this.#restart();
    this.#sight();
  }

  disconnectedCallback() {
    this.#life.abort();
    this.#disconnect();
    clearTimeout(this.#hiding);
  }

  attributeChangedCallback(name, before, now) {
    if (before !== now) this.#soon();
  }

  /** reconnect asks the server again at once, whatever it said before. */
  reconnect() {
    if (this.isConnected) this.#restart(true);
  }

  #reflect(name, value) {
    if (value === null || value === undefined) this.removeAttribute(name);
    else this.setAttribute(name, value);
  }

  #size(name, usual, least, most) {
    const text = this.getAttribute(name);
    return /^[0-9]+$/.test(text ?? "") ? Math.min(Math.max(Number(text), least), most) : usual;
  }

  // The connection.

  /** soon sees to the connection once all that the page sets at a time is set. */
  #soon() {
    if (this.#due || !this.isConnected || !this.#life) return;
    this.#due = true;
    queueMicrotask(() => {
      this.#due = false;
      if (this.isConnected) this.#restart(this.#kind === "expired");
    });
  }

  #restart(again = false) {
    const url = `${this.server}/loyalty/${encodeURIComponent(this.customer)}/live?top=${this.top}&around=${this.around}` +
      (this.season && `&season=${encodeURIComponent(this.season)}`);
    if (!again && this.#connection && url === this.#url) return;
    this.#disconnect();
    if (url !== this.#url) this.#lastEventId = "";
    this.#url = url;
    const subject = `${this.server} ${this.customer} ${this.season}`;
    if (subject !== this.#subject) {
      // Nobody sees the figures of whom, or of when, the page was for before.
      this.#subject = subject;
      this.#figures = null;
      this.#tokens.granted = "";
      this.#told = { cut: false };
    }
    this.#become(this.#figures && this.#kind === "live" ? "live" : "loading");
    // Another origin has no session of this page, so that a token will come.
    if (this.customer === "" || !(this.#tokens.any || new URL(url, location.href).origin === location.origin)) return;
    this.#connection = new Connection(url, this.#tokens, this.#lastEventId, {
      event: (event) => this.#take(event),
      state: (kind, text) => this.#become(kind, text),
      notify: (name, detail) => this.#notify(name, detail),
    });
  }

  #disconnect() {
    this.#connection?.close();
    this.#connection = null;
  }

  /** sight lets go of the connection of a page that nobody looks at, and takes it up again. */
  #sight() {
    clearTimeout(this.#hiding);
    if (document.visibilityState === "hidden") {
      this.#hiding = setTimeout(() => {
        this.#disconnect();
        this.#become("loading");
      }, LoyaltyDashboard.hiddenFor);
    } else if (!this.#connection) {
      this.#restart();
    } else if (this.#kind === "expired" || this.#kind === "problem") {
      // Who looks at the page again may have put things right elsewhere.
      this.reconnect();
    } else {
      this.#connection.wake();
    }
  }

  // The figures.

  #take({ type, data, lastEventId }) {
    if (type === "waiting") return this.#become("waiting");
    if (type !== "dashboard" && type !== "age") return;
    const news = JSON.parse(data);
    if (type === "age" && !this.#figures) return;
    this.#figures = type === "age" ? { ...this.#figures, ...news } : news;
    if (type === "dashboard") this.#lastEventId = lastEventId;
    this.#received = Date.now();
    this.#ahead = this.#connection.ahead;
    this.#become("live");
    if (this.#told.rank === undefined) this.#news();
    this.#notify("loyalty-update", structuredClone(this.#figures));
  }

  /** age is how old the figures are, in milliseconds by the server's clock. */
  #age() {
    const asOf = Date.parse(this.#figures.asOf ?? "") || this.#received - this.#ahead;
    return Math.max(0, Date.now() - this.#ahead - asOf);
  }

  #become(kind, text = "") {
    if (this.#kind !== kind) this.#since = Date.now();
    this.#kind = kind;
    this.#text = text && `${text[0].toUpperCase()}${text.slice(1)}`.replace(/\.?$/, ".");
    this.#show();
  }

  #notify(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
  }

  // What is seen.

  #build() {
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [sheet];
    const figure = (label, name) => {
      const value = el("dd", { class: "figure" });
      const note = el("dd", { class: "label" });
      return { value, note, box: el("div", { class: name }, el("dt", { class: "label" }, label), value, note) };
    };
    const slot = (area, props) => {
      const element = el("slot", { class: area, ...props });
      element.addEventListener("slotchange", () => element.classList.toggle("filled", element.assignedNodes().length > 0));
      return element;
    };
    const p = this.#parts = {
      status: el("p", { class: "status", hidden: "" }),
      message: el("div", { class: "message" }),
      rank: figure("Your rank", "own-rank"), points: figure("Your points", "own-points"),
      next: el("p", { class: "next" }),
      choice: el("fieldset", null, el("legend", { class: "hidden" }, "How many of the best to show"), el("span", { class: "of", "aria-hidden": "true" }, "Top")),
      caption: el("caption", { class: "hidden" }),
      body: el("tbody", { role: "rowgroup" }),
      say: el("p", { class: "hidden", role: "status", "aria-live": "polite" }),
    };
    p.figures = el("dl", { class: "figures" }, p.rank.box, p.points.box);
    for (const n of [10, 20, 50]) {
      const input = el("input", { type: "radio", name: "top", value: n, "aria-label": `Top ${n}`, onchange: () => { this.top = n; } });
      p.choice.append(el("label", null, input, el("span", null, String(n))));
    }
    const column = (name, text) => el("th", { scope: "col", role: "columnheader", class: name }, text);
    p.table = el("table", { role: "table" }, p.caption, el("thead", { role: "rowgroup" },
      el("tr", { role: "row" }, column("rank", "Rank"), column("name", "Name"), column("points", "Points"))), p.body);
    p.bones = el("div", { class: "bones", "aria-hidden": "true" }, ...Array.from({ length: 10 }, () => el("div", { class: "bone" })));
    p.board = el("div", { class: "board card" },
      el("div", { class: "head" }, el("h2", { class: "title" }, "Leaderboard"), p.choice), p.table, p.bones);
    p.all = el("section", { class: "all", "aria-label": "Loyalty points" },
      el("div", { class: "own card" }, p.status, p.message, p.figures, p.next), slot("news", { name: "news" }), p.board, slot("more"), p.say);
    root.append(p.all);
  }

  #show() {
    const p = this.#parts;
    const f = this.#figures;
    this.#showStatus();
    this.#showMessage();
    const loading = !f && this.#kind === "loading";
    p.all.classList.toggle("loading", loading);
    p.all.setAttribute("aria-busy", String(loading));
    p.figures.hidden = p.next.hidden = !f?.you;
    p.board.hidden = !loading && !f?.customers;
    p.all.classList.toggle("alone", p.board.hidden);
    p.table.hidden = !f;
    p.bones.hidden = Boolean(f);
    for (const input of p.choice.querySelectorAll("input")) input.checked = Number(input.value) === this.top;
    if (!f) {
      this.#rows.clear();
      p.body.replaceChildren();
      return;
    }
    if (f.you) {
      put(p.rank.value, number(f.you.rank));
      put(p.rank.note, `of ${counted(f.customers, "customer", "customers")}`);
      put(p.points.value, number(f.you.points));
      const next = this.#next();
      put(p.next, next);
      p.next.hidden = next === "";
      p.next.classList.toggle("first", f.you.rank === 1);
    }
    const rows = list(f, this.top);
    put(p.caption, `The best ${number(Math.min(this.top, f.customers))}${f.you ? ", and you with those around you" : ""}`);
    const width = (of) => Math.max(...rows.map((row) => number(row[of] ?? 0).length));
    p.table.classList.toggle("long", width("rank") + width("points") > 13);
    this.#showRows(rows);
  }

  /** next says what it takes to climb. */
  #next() {
    const { you, top, around, customers } = this.#figures;
    const at = (rank) => around.find((row) => row.rank === rank) ?? top.find((row) => row.rank === rank);
    if (you.rank > 1) {
      const above = at(you.rank - 1);
      return above ? `${counted(toPass(above, you), "point", "points")} to rank ${number(you.rank - 1)}` : "";
    }
    if (customers === 1) return "You are first: nobody else has points yet";
    const below = at(2);
    return below ? `You are first, ${counted(you.points - below.points, "point", "points")} ahead` : "You are first";
  }

  #showStatus() {
    const { status } = this.#parts;
    status.hidden = !this.#figures;
    if (!this.#figures) return;
    const age = this.#age();
    const asOf = `as of ${ago(age)}`;
    const texts = {
      live: age > oldAge ? `Figures ${asOf}` : "Live",
      loading: `Updating · ${asOf}`,
      waiting: `Catching up · ${asOf}`,
      lost: `${navigator.onLine ? "Connection lost" : "You are offline"} · ${asOf}`,
      busy: `No news just now · ${asOf}`,
      expired: `Your sign-in has ended · ${asOf}`,
      problem: `${this.#text} Figures ${asOf}`,
    };
    put(status, texts[this.#kind]);
    status.classList.toggle("warn", this.#kind === "live" ? age > oldAge : this.#kind !== "loading");
  }

  #showMessage() {
    const f = this.#figures;
    const { message } = this.#parts;
    const [title, text] = !f ? this.#without() : f.you ? [] : f.customers > 0
      ? ["No points yet", "Your first order puts you on the leaderboard. You earn 1 point for every £10 you spend, rounded to the nearest: £25 earns 3."]
      : ["Be the first", "Nobody has points yet. You earn 1 point for every £10 you spend, rounded to the nearest: £25 earns 3."];
    message.hidden = !title;
    if (!title || message.dataset.said === title + text) return;
    message.dataset.said = title + text;
    message.replaceChildren(el("p", { class: "title" }, title), el("p", null, text));
    if (!f && this.#kind === "problem") message.append(el("p", null, el("button", { type: "button", onclick: () => this.reconnect() }, "Try again")));
  }

  /** without says why there are no figures. */
  #without() {
    switch (this.#kind) {
      case "waiting": return ["Points are being counted", "The leaderboard is getting ready, and appears here by itself in a moment."];
      case "lost": return navigator.onLine
        ? ["The leaderboard can't be reached", "Your points are safe. This page tries again by itself."]
        : ["You are offline", "Your points are safe. They appear here as soon as you are connected."];
      case "busy": return ["Just a moment", "The leaderboard can't be shown right now. Your points are safe, and this page tries again by itself."];
      case "expired": return ["Your sign-in has ended", "Sign in again to see your points."];
      case "problem": return ["This can't be shown", this.#text];
    }
    return ["Loading your points…", "One moment, please."];
  }

  /** showRows puts the rows into their order. Those that were there glide to their new place, others fade in. */
  #showRows(rows) {
    const { body } = this.#parts;
    const moving = this.#rows.size > 0 && document.visibilityState === "visible" && !matchMedia("(prefers-reduced-motion: reduce)").matches;
    const places = (of) => {
      const start = body.getBoundingClientRect().top;
      return new Map([...of].map(([key, tr]) => [key, tr.getBoundingClientRect().top - start]));
    };
    const before = moving ? places(this.#rows) : null;
    const next = new Map();
    const seen = new Map();
    for (const row of rows) {
      const name = row.gap ? "" : row.you ? "you" : `of ${row.proxyName ?? row.rank}`;
      const nth = (seen.get(name) ?? 0) + 1;
      seen.set(name, nth);
      const key = `${nth} ${name}`;
      const tr = this.#rows.get(key) ?? (row.gap ? gapRow() : customerRow());
      tr.fill(row);
      next.set(key, tr);
    }
    for (const [key, tr] of this.#rows) if (next.get(key) !== tr) tr.remove();
    let at = body.firstElementChild;
    for (const tr of next.values()) {
      if (tr === at) at = at.nextElementSibling;
      else body.insertBefore(tr, at);
    }
    this.#rows = next;
    if (!moving) return;
    for (const tr of next.values()) for (const animation of tr.getAnimations()) animation.cancel();
    for (const [key, place] of places(next)) {
      const by = before.get(key) - place;
      if (Number.isNaN(by)) next.get(key).animate({ opacity: [0, 1] }, glide);
      else if (Math.abs(by) >= 1) next.get(key).animate({ transform: [`translateY(${by}px)`, "none"] }, glide);
    }
  }

  /** tick is each second: ages grow, and what is new is read out, at most once in sayPace. */
  #tick() {
    if (document.visibilityState === "hidden") return;
    this.#showStatus();
    if (Date.now() - this.#toldAt < sayPace) return;
    const text = this.#news();
    if (!text) return;
    this.#toldAt = Date.now();
    const { say } = this.#parts;
    // The same text again is news too.
    put(say, say.textContent === text ? `${text}\u00a0` : text);
  }

  /** news is a sentence on what is new since the last one; none at first. */
  #news() {
    if (!this.#figures) return "";
    const { rank = 0, points = 0 } = this.#figures.you ?? {};
    const before = this.#told;
    // Who comes back at once is not told that they were away.
    const cut = this.#kind === "live" ? false : before.cut || (this.#kind !== "loading" && Date.now() - this.#since >= sayPace);
    this.#told = { rank, points, cut };
    const have = `with ${counted(points, "point", "points")}`;
    const by = Math.abs(before.rank - rank);
    if (before.rank === undefined) return "";
    if (cut !== before.cut) return cut ? this.#parts.status.textContent : `Connected again.${rank > 0 ? ` You are at rank ${number(rank)}, ${have}.` : ""}`;
    if (rank === before.rank) return points === before.points ? "" : `You now have ${counted(points, "point", "points")}, at rank ${number(rank)}.`;
    if (rank === 0) return "You are no longer on the leaderboard.";
    if (before.rank === 0) return `You are on the leaderboard, at rank ${number(rank)} ${have}.`;
    return `You went ${rank < before.rank ? "up" : "down"} ${counted(by, "place", "places")}, to rank ${number(rank)} ${have}.`;
  }
}

if (!customElements.get("loyalty-dashboard")) customElements.define("loyalty-dashboard", LoyaltyDashboard);
