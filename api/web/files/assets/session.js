// Who is signed in: asks, says so in the header, and ends it.
import { Problem, comeBack, el, forgetSignIn, leave, request, signIn, signInAt } from "./site.js";

/** pages are those that there are for each role. */
const pages = { customer: [["/", "Dashboard"]], support: [["/support", "Support"]], analyst: [["/analysis", "Analysis"]], channel: [] };
const roles = { customer: "a customer", support: "support staff", analyst: "an analyst", channel: "a channel" };

/** session tells who is signed in. Without a session it leaves for the sign-in, and for somebody with none of these roles it says
 * what the page is, and does not return. */
export async function session(...allowed) {
  let who;
  for (let wait = 1; !who; wait = Math.min(2 * wait, 30)) {
    try {
      const response = await request("GET", "/session");
      who = await response.json();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.status === 401) {
        signIn(error);
        return new Promise(() => {});
      }
      notice("warn", error.message);
      await new Promise((resolve) => setTimeout(resolve, 1000 * Math.max(wait, error.retryAfter)));
    }
  }
  notice();
  comeBack();
  // The browser may keep the page as it is, and show it again to whoever goes back.
  addEventListener("pagehide", leave);
  addEventListener("pageshow", ({ persisted }) => { if (persisted) location.reload(); });
  // By the server's clock, for this one may be wrong.
  who.expires = new Date(Date.now() + 1000 * who.expiresIn);
  head(who);
  watchExpiry(who.expires);
  if (allowed.length > 0 && !allowed.includes(who.role)) {
    document.querySelector("main").replaceChildren(el("div", { class: "stack" },
      el("h1", null, "This page is not for you"),
      el("p", null, `It is for ${allowed.map((role) => roles[role]).join(" and ")}. You are signed in as ${roles[who.role]}, ${who.subject}.`),
      el("p", { class: "row" }, ...pages[who.role].map(([path, name]) => el("a", { class: "button primary", href: path }, `Go to ${name}`)),
        el("button", { class: "button", type: "button", onclick: () => signOut(signInAt(true)) }, "Sign in as somebody else"))));
    return new Promise(() => {});
  }
  return who;
}

/** signOut ends the session, and goes where the identity provider ends its own, or elsewhere. */
async function signOut(next) {
  try {
    await request("DELETE", "/session");
  } catch (error) {
    notice("bad", error.message);
    return;
  }
  forgetSignIn();
  leave();
  location.assign(next);
}

function head(who) {
  const header = document.querySelector("header.site");
  header.replaceChildren(
    el("p", { class: "brand" }, "Loyalty"),
    el("nav", { "aria-label": "Pages" }, el("ul", null, pages[who.role].map(([path, name]) =>
      el("li", null, el("a", { href: path, "aria-current": path === location.pathname ? "page" : null }, name))))),
    el("div", { class: "who" },
      el("span", null, "Signed in as ", el("strong", null, who.subject)),
      el("button", { class: "button quiet", type: "button", onclick: () => signOut("/sign-out?" + new URLSearchParams({ to: location.pathname })) }, "Sign out")));
}

/** notice shows one line above everything, or none. */
function notice(kind, text) {
  document.getElementById("notice")?.remove();
  if (!text) return;
  document.querySelector("main").prepend(el("p", { class: `banner ${kind}`, id: "notice", role: "status" }, text));
}

const soon = 2 * 60 * 1000;
// The longest that a timer takes is 2^31 ms.
const longest = 2 ** 31 - 1;

function watchExpiry(expires) {
  const left = expires.getTime() - Date.now();
  if (left <= 0) return signIn();
  if (left <= soon) notice("warn", "Your session ends in less than two minutes. Finish what you are at; then you are asked to sign in again.");
  setTimeout(() => watchExpiry(expires), Math.min(left > soon ? left - soon : left, longest));
}
