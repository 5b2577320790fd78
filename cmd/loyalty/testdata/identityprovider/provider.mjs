// An identity provider that others wrote (npm oidc-provider), for tests: any name signs in without a password, its beginning says the
// role, and its end the right that somebody has beyond it. Its first line says where it is. POST /control changes its settings. It ends with its standard input.
import { generateKeyPairSync, randomUUID } from "node:crypto";
import { createServer } from "node:http";
import Provider from "oidc-provider";

const { base, audience, client } = JSON.parse(process.env.SETTINGS);
const roles = { agent: "support", analyst: "analyst", customer: "customer" };
const rights = ["reveal", "audit"];
const html = (body) => `<!doctype html><html lang="en"><head><title>Identity provider</title><link rel="icon" href="data:,"></head><body><h1>Identity provider</h1>${body}</body></html>`;

const newKey = () => ({
  ...generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ format: "jwk" }), kid: randomUUID(), use: "sig", alg: "RS256",
});
const settings = { secret: client.secret, lifetime: 3600, key: newKey() };
let issuer, provider;

/** renew makes a provider of the settings. What it keeps of people is kept by the library, for all of them. */
function renew() {
  provider = new Provider(issuer, {
    clients: [{
      client_id: client.id, client_secret: settings.secret, grant_types: ["authorization_code"], response_types: ["code"],
      redirect_uris: [`${base}/signed-in`], post_logout_redirect_uris: [`${base}/signed-out`],
    }],
    cookies: { keys: ["a key for tests"] },
    jwks: { keys: [settings.key] },
    ttl: { Session: 3600, Interaction: 3600, Grant: 3600, IdToken: 3600, AccessToken: () => settings.lifetime },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    extraTokenClaims: (_, { accountId }) => ({ role: roles[accountId.split("-")[0]], permissions: rights.filter((right) => accountId.endsWith(`-${right}`)) }),
    interactions: { url: (_, { uid }) => `/interaction/${uid}` },
    // Nobody is asked for consent: whatever the client asks for is granted, as most providers do for clients of their own.
    async loadExistingGrant({ oidc }) {
      const grant = new oidc.provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
      grant.addOIDCScope("openid");
      grant.addResourceScope(audience, rights.join(" "));
      await grant.save();
      return grant;
    },
    features: {
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({ audience, scope: rights.join(" "), accessTokenFormat: "jwt", jwt: { sign: { alg: "RS256" } } }),
      },
      rpInitiatedLogout: {
        logoutSource(ctx, form) { ctx.body = html(`${form}<button form="op.logoutForm" name="logout" value="yes">Yes, sign me out</button>`); },
      },
    },
  });
}

async function body(request) {
  let text = "";
  for await (const piece of request) text += piece;
  return text;
}

/** answer is everything but what the library answers; false for that. */
async function answer(request, response) {
  const [, first, uid, last] = request.url.split("?")[0].split("/");
  if (first === "control") {
    const { rotate, ...changes } = JSON.parse(await body(request));
    Object.assign(settings, changes, rotate && { key: newKey() });
    renew();
    return response.end();
  }
  if (first !== "interaction") return false;
  if (last === "cancel") {
    return provider.interactionFinished(request, response, { error: "access_denied", error_description: "the person said no" });
  }
  await provider.interactionDetails(request, response);
  if (request.method === "POST") {
    const login = { accountId: new URLSearchParams(await body(request)).get("login") };
    return provider.interactionFinished(request, response, { login });
  }
  response.setHeader("Content-Type", "text/html; charset=utf-8");
  response.end(html(`<form method="post"><label>Name <input name="login" required></label><button>Sign in</button></form><a href="/interaction/${uid}/cancel">Cancel</a>`));
}

const server = createServer(async (request, response) => {
  try {
    if (await answer(request, response) === false) provider.callback()(request, response);
  } catch (error) {
    console.error(error);
    response.statusCode = 500;
    response.end(String(error));
  }
});
server.listen(0, "127.0.0.1", () => {
  issuer = `http://localhost:${server.address().port}`;
  renew();
  console.log(issuer);
});
process.stdin.resume().on("end", () => process.exit());
