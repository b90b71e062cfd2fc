// Unmodified openid-client and jose, as any program on this machine would use them.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import * as jose from "jose";
import * as openid from "openid-client";

import { openBrowser } from "./browser.mjs";
import { Wallet } from "./wallet.mjs";

let wallet;
let browser;
before(async () => {
  [wallet, browser] = await Promise.all([Wallet.start(), openBrowser()]);
});
after(() => Promise.all([wallet?.end(), browser?.close()]));

const discover = (clientId) =>
  openid.discovery(new URL(wallet.issuer), clientId, undefined, openid.None(), { execute: [openid.allowInsecureRequests] });

/** The program's own little server, to which the browser returns. */
async function listen() {
  let arrived;
  const answer = new Promise((resolve) => (arrived = resolve));
  const server = createServer((request, response) => {
    response.end("You can close this page.");
    if (request.url.startsWith("/callback")) arrived(request.url);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const redirectUri = `http://127.0.0.1:${server.address().port}/callback`;
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { redirectUri, answer: answer.then((url) => new URL(url, redirectUri)), close };
}

/** Signs in by code and PKCE, in a real browser; `answer` is the user. */
async function signInByCode(config, answer = (request) => wallet.approve(request), extra = {}) {
  const { redirectUri, answer: back, close } = await listen();
  const page = await browser.newPage();
  try {
    const pkceCodeVerifier = openid.randomPKCECodeVerifier();
    const [expectedState, expectedNonce] = [openid.randomState(), openid.randomNonce()];
    const url = openid.buildAuthorizationUrl(config, {
      redirect_uri: redirectUri,
      scope: "openid profile",
      code_challenge: await openid.calculatePKCECodeChallenge(pkceCodeVerifier),
      code_challenge_method: "S256",
      state: expectedState,
      nonce: expectedNonce,
      ...extra,
    });
    await page.goto(url.href);
    const request = await wallet.request();
    const words = await page.locator(".words li").allTextContents();
    assert.deepEqual(words, request.compare_words, "page and prompt show the same words");
    assert.equal(request.app.process.path, process.execPath, "the program that waits for the answer is named");
    await answer(request);
    const url_ = await back;
    return await openid.authorizationCodeGrant(config, url_, { pkceCodeVerifier, expectedState, expectedNonce, idTokenExpected: true });
  } finally {
    await page.close();
    close();
  }
}

/** Signs in by the back channel. */
async function signInByCiba(config, extra = {}) {
  const asked = await openid.initiateBackchannelAuthentication(config, {
    scope: "openid profile",
    login_hint: "whoever is there",
    binding_message: "Kiosk 7",
    ...extra,
  });
  const request = await wallet.request();
  assert.equal(request.binding_message, "Kiosk 7");
  await wallet.approve(request);
  return openid.pollBackchannelAuthenticationGrant(config, asked);
}

test("openid-client signs in by code and PKCE, and the page returns by itself", async () => {
  const config = await discover("code-app");
  const tokens = await signInByCode(config);
  const { sub } = tokens.claims();
  assert.match(sub, /^did:key:z6Mk/);
  const info = await openid.fetchUserInfo(config, tokens.access_token, sub);
  assert.equal(info.name, "Ada");
});

test("openid-client signs in by CIBA", async () => {
  const config = await discover("ciba-app");
  const tokens = await signInByCiba(config);
  assert.match(tokens.claims().sub, /^did:key:z6Mk/);
});

test("openid-client refreshes, and a refresh token works once", async () => {
  const config = await discover("refresh-app");
  const first = await signInByCiba(config);
  const second = await openid.refreshTokenGrant(config, first.refresh_token);
  assert.notEqual(second.refresh_token, first.refresh_token);
  assert.equal(second.claims().sub, first.claims().sub);
  await assert.rejects(openid.refreshTokenGrant(config, first.refresh_token), { error: "invalid_grant" });
  await assert.rejects(
    openid.refreshTokenGrant(config, second.refresh_token),
    { error: "invalid_grant" },
    "used twice, the whole session is over",
  );
});

test("openid-client revokes, and then nothing works any more", async () => {
  const config = await discover("revoke-app");
  const tokens = await signInByCiba(config);
  await openid.tokenRevocation(config, tokens.refresh_token);
  await assert.rejects(openid.refreshTokenGrant(config, tokens.refresh_token), { error: "invalid_grant" });
  await assert.rejects(openid.fetchUserInfo(config, tokens.access_token, tokens.claims().sub));
});

// threat: 18
test("what the user revokes is over at once", async () => {
  const config = await discover("evicted-app");
  const tokens = await signInByCiba(config);
  await wallet.revoke("evicted-app");
  await assert.rejects(openid.fetchUserInfo(config, tokens.access_token, tokens.claims().sub));
  await assert.rejects(openid.refreshTokenGrant(config, tokens.refresh_token), { error: "invalid_grant" });
});

test("the user's no comes back by the page", async () => {
  const config = await discover("denied-app");
  await assert.rejects(signInByCode(config, (request) => wallet.deny(request)), { error: "access_denied" });
});

// threat: 9
test("a code without its PKCE verifier, or used twice, is refused", async () => {
  const config = await discover("replay-app");
  const { redirectUri, answer, close } = await listen();
  const page = await browser.newPage();
  const verifier = openid.randomPKCECodeVerifier();
  const url = openid.buildAuthorizationUrl(config, {
    redirect_uri: redirectUri,
    scope: "openid",
    code_challenge: await openid.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
  });
  await page.goto(url.href);
  await wallet.approve(await wallet.request());
  const back = await answer;
  await page.close();
  close();
  const tokens = await openid.authorizationCodeGrant(config, new URL(back), { pkceCodeVerifier: verifier, idTokenExpected: true });
  await assert.rejects(openid.authorizationCodeGrant(config, new URL(back), { pkceCodeVerifier: verifier }), { error: "invalid_grant" });
  await assert.rejects(openid.refreshTokenGrant(config, tokens.refresh_token), { error: "invalid_grant" }, "what the code gave is taken back");
});

test("unmodified jose verifies the proof of an alias", async () => {
  const config = await discover("proof-app");
  const tokens = await signInByCiba(config, { nonce: "once" });
  const { proof } = tokens;
  const { kid } = jose.decodeProtectedHeader(proof);
  const key = await jose.importJWK({ kty: "OKP", crv: "Ed25519", x: keyOf(kid) }, "EdDSA");
  const { sub } = tokens.claims();
  const { payload } = await jose.jwtVerify(proof, key, {
    issuer: sub,
    subject: sub,
    audience: "proof-app",
    typ: "halo-proof+jwt",
    algorithms: ["EdDSA"],
    maxTokenAge: "5m",
  });
  assert.equal(payload.nonce, "once");
  assert.equal(kid.split("#")[0], sub, "the alias signs for itself");
  await assert.rejects(jose.jwtVerify(proof, key, { audience: "another-app" }), { code: "ERR_JWT_CLAIM_VALIDATION_FAILED" });
});

test("two apps know the same user by different names, one app by the same after a restart", async () => {
  const sub = async (clientId) => (await signInByCiba(await discover(clientId))).claims().sub;
  const [one, two] = [await sub("one-app"), await sub("two-app")];
  assert.notEqual(one, two);
  await wallet.restart();
  assert.equal(await sub("one-app"), one);
});

/** What a verifier without our SDK does with a `did:key`: base58, two bytes of multicodec, the key. */
function keyOf(kid) {
  const alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
  let value = 0n;
  for (const letter of kid.split("#")[0].slice("did:key:z".length)) value = value * 58n + BigInt(alphabet.indexOf(letter));
  return Buffer.from(value.toString(16).padStart(68, "0"), "hex").subarray(2).toString("base64url");
}
