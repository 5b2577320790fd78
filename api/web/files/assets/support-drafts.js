// What has been typed and not yet sent, kept in this tab until it is sent or the tab is closed: neither going elsewhere on the page
// nor a sign-in in between loses it.

const name = "loyalty.support.drafts";
let drafts = {};
let owner = "";

/** openDrafts takes up those of who is signed in; another's are dropped. */
export function openDrafts(subject) {
  owner = subject;
  try {
    const kept = JSON.parse(sessionStorage.getItem(name) ?? "{}");
    drafts = kept.owner === subject ? kept.drafts : {};
  } catch {
    drafts = {};
  }
  keep();
}

function keep() {
  try {
    sessionStorage.setItem(name, JSON.stringify({ owner, drafts }));
  } catch {
    // A browser that keeps nothing loses drafts with the page, and nothing else.
  }
}

/** draft is what is kept under a key, an empty object if nothing is. */
export const draft = (key) => drafts[key] ?? {};

/** keepDraft keeps parts of a draft. */
export function keepDraft(key, parts) {
  drafts[key] = { ...drafts[key], ...parts };
  keep();
}

/** dropDraft forgets a draft. */
export function dropDraft(key) {
  delete drafts[key];
  keep();
}

/** showing makes a function that has the fields of a form show what is given of a place, or what was typed into them there and not sent. */
export function showing(form, key) {
  const fields = [...form.elements].filter(({ name }) => name);
  let at;
  form.addEventListener("input", () => keepDraft(key, { at, ...Object.fromEntries(fields.map(({ name, value }) => [name, value])) }));
  form.addEventListener("submit", () => dropDraft(key));
  return (place) => {
    at = JSON.stringify(place);
    for (const field of fields) field.value = place[field.name] ?? "";
    if (draft(key).at === at) fill(form, key);
    else if (draft(key).at) dropDraft(key);
  };
}

/** fill writes a draft into the fields of a form that have the names of its parts. */
export function fill(form, key) {
  for (const [field, value] of Object.entries(draft(key))) if (form.elements[field]) form.elements[field].value = value;
}
