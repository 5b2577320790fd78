// The form of a policy to try out: what is in it as the API takes it, and what is kept of it while the tab is open. Amounts are in
// pounds, euros and parts of them here, and in whole minor units there.
import { Problem, el } from "./site.js";

const store = "loyalty.analysis.policy";

/** Policy is the form. */
export class Policy {
  #form;
  #list;

  constructor(form, subject) {
    this.#form = form;
    this.#list = form.querySelector("#multipliers ol");
    form.querySelector("#add-multiplier").addEventListener("click", () => {
      this.#add();
      this.#list.lastElementChild.querySelector("select").focus();
      this.#keep(subject);
    });
    for (const event of ["input", "change"]) form.addEventListener(event, () => this.#keep(subject));
    this.#list.addEventListener("click", ({ target }) => {
      const row = target.closest("button.remove")?.closest("li");
      if (!row) return;
      const next = row.nextElementSibling ?? row.previousElementSibling;
      row.remove();
      this.#number();
      (next?.querySelector("button.remove") ?? form.querySelector("#add-multiplier")).focus();
      this.#keep(subject);
    });
    this.#restore(subject);
  }

  #add({ channel = "", factor = "2", from = "", until = "" } = {}) {
    const choice = (value, text) => el("option", { value, selected: value === channel }, text);
    this.#list.append(el("li", null, el("fieldset", null, el("legend", null, ""),
      el("div", { class: "pair" },
        el("label", { class: "field" }, "Channel", el("select", { dataset: { part: "channel" } },
          choice("", "any"), choice("website", "website"), choice("mobile", "mobile"), choice("store", "stores"))),
        el("label", { class: "field" }, "Times", el("input", { dataset: { part: "factor" }, type: "text", inputmode: "decimal", autocomplete: "off", maxlength: 16, value: factor })),
        el("label", { class: "field" }, "From", el("input", { dataset: { part: "from" }, type: "date", max: "9999-12-31", value: from })),
        el("label", { class: "field" }, "Before", el("input", { dataset: { part: "until" }, type: "date", max: "9999-12-31", value: until }))),
      el("button", { class: "button quiet remove", type: "button" }, "Remove", el("span", { class: "visually-hidden" })))));
    this.#number();
  }

  /** number names the fields of each multiplier as the API does. */
  #number() {
    [...this.#list.children].forEach((row, i) => {
      row.querySelector("legend").textContent = `Multiplier ${i + 1}`;
      row.querySelector(".remove .visually-hidden").textContent = ` multiplier ${i + 1}`;
      for (const field of row.querySelectorAll("[data-part]")) field.name = `policy.multipliers[${i}].${field.dataset.part}`;
    });
  }

  #multipliers() {
    return [...this.#list.children].map((row) => Object.fromEntries([...row.querySelectorAll("[data-part]")].map((field) => [field.dataset.part, field.value.trim()])));
  }

  #fields() {
    return [...this.#form.elements].filter((field) => field.name && !field.dataset.part);
  }

  #keep(subject) {
    const fields = Object.fromEntries(this.#fields().map(({ name, value }) => [name, value]));
    try {
      sessionStorage.setItem(store, JSON.stringify({ subject, fields, multipliers: this.#multipliers() }));
    } catch {
      // A browser that keeps nothing loses the form with the page, and nothing else.
    }
  }

  #restore(subject) {
    let kept;
    try {
      kept = JSON.parse(sessionStorage.getItem(store));
    } catch {
      // What is no longer understood is not there.
    }
    if (kept?.subject !== subject) return;
    for (const field of this.#fields()) field.value = kept.fields[field.name] ?? field.value;
    for (const multiplier of kept.multipliers) this.#add(multiplier);
  }

  /** question is what the form asks, as the API takes it. It throws a Problem for what is no amount or no time. */
  question() {
    const value = (name) => this.#form.elements[name].value.trim(), errors = [];
    const amounts = (field, least) => {
      const given = Object.fromEntries(["GBP", "EUR"].map((currency) => [currency, minor(`${field}.${currency}`, least)]).filter(([, amount]) => amount !== undefined));
      return Object.keys(given).length > 0 ? given : undefined;
    };
    const minor = (name, least) => {
      if (value(name) === "") return undefined;
      const [amount, pence = ""] = /^\d{1,12}(\.\d{1,2})?$/.test(value(name)) ? value(name).split(".") : [NaN];
      const whole = Number(amount) * 100 + Number(pence.padEnd(2, "0"));
      if (!(whole >= least)) errors.push({ field: name, detail: `Write an amount such as 5 or 5.75${least > 0 ? ", more than 0" : ""}.` });
      return whole;
    };
    const moment = (name) => {
      const field = this.#form.elements[name];
      if (field.validity.badInput) errors.push({ field: name, detail: "Write the whole day and time, or nothing of it." });
      return field.value ? new Date(field.value).toISOString() : undefined;
    };
    for (const field of this.#list.querySelectorAll("input[type=date]")) {
      if (field.validity.badInput) errors.push({ field: field.name, detail: "Write the whole day, or nothing of it." });
    }
    const multipliers = this.#multipliers().map((m) => Object.fromEntries(Object.entries(m).filter(([, text]) => text !== "")));
    const policy = {
      id: value("policy.id"), spendPerPoint: amounts("policy.spendPerPoint", 1), rounding: value("policy.rounding"), minimum: amounts("policy.minimum", 0),
      multipliers: multipliers.length > 0 ? multipliers : undefined, pointValue: minor("policy.pointValue", 0),
    };
    const question = { policy, by: value("by") || undefined, until: moment("until"), top: Number(value("top")) };
    if (errors.length > 0) throw new Problem(0, { detail: "Some of it can't be understood.", code: "invalid_input", errors });
    return question;
  }
}
