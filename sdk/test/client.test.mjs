import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { memoryStorage } from "../dist/core/storage.js";
import { makeApp } from "./app.mjs";
import { decodeJwt, makeWallet } from "./wallet.mjs";

const open = [];
function start(options) {
  const app = makeApp(options);
  open.push(app.halo);
  return app;
}
afterEach(() => {
  for (const halo of open.splice(0)) halo.close();
});

test("page and wallet show the same three words, and the page pins the wallet's key", async () => {
  const wallet = await makeWallet();
  const app = start({ wallets: [wallet] });
  let shown;
  const session = await app.halo.signIn({ nonce: "n-1", onWords: (words) => void (shown = words) });
  assert.deepEqual(shown, wallet.asked[0].words);
  assert.equal(shown.length, 3);
  assert.equal((await app.storage.load()).wallet, wallet.jwk.x);
  assert.equal(session.subject, wallet.subject);
  assert.equal(session.name, "Ada");
  assert.equal(session.state, "active");
  assert.equal(decodeJwt(await session.proof("n-1")).nonce, "n-1");
});

// threat: 8
test("whoever sits between page and wallet cannot make their words agree", async () => {
  const wallet = await makeWallet();
  const app = start({ wallets: [wallet] });
  const honest = wallet.door.bind(wallet);
  wallet.door = () => {
    const door = honest();
    return {
      ...door,
      send: async (ask) => {
        const reply = await door.send(ask);
        // The one in the middle makes the wallet's half up, as it must to have the tokens made for its own key.
        return ask.path === "/bc-authorize" ? { ...reply, body: { ...reply.body, halo_wallet_nonce: "bWlkZGxl" } } : reply;
      },
    };
  };
  let shown;
  await app.halo.signIn({ onWords: (words) => void (shown = words) });
  assert.notDeepEqual(shown, wallet.asked[0].words, "the user finds no such group in the wallet");
});

// threat: 7
test("a key other than the one committed to before the words is refused", async () => {
  const wallet = await makeWallet();
  wallet.shownKey = (await makeWallet()).jwk;
  const app = start({ wallets: [wallet] });
  await assert.rejects(app.halo.signIn(), { code: "words_mismatch" });
  assert.equal((await app.storage.load()).wallet, undefined, "nothing is pinned");
});

// threat: 7
test("an ID token by another key than the pinned one is refused", async () => {
  const wallet = await makeWallet();
  wallet.signingKey = (await makeWallet()).key;
  const app = start({ wallets: [wallet] });
  await assert.rejects(app.halo.signIn(), { code: "wallet_changed" });
});

test("the second sign-in needs no words", async () => {
  const wallet = await makeWallet();
  const app = start({ wallets: [wallet] });
  await (await app.halo.signIn({ onWords() {} })).signOut();
  await app.halo.signIn({ onWords: () => assert.fail("this wallet is known") });
  assert.equal(wallet.asked.length, 1, "one first contact");
});

// threat: 7
for (const hello of ["silent", "forged"]) {
  test(`a wallet that answers the challenge ${hello === "silent" ? "not at all" : "of somebody else"} is another wallet`, async () => {
    const wallet = await makeWallet();
    const app = start({ wallets: [wallet] });
    await (await app.halo.signIn()).signOut();
    wallet.hello = hello;
    await assert.rejects(app.halo.signIn(), { code: "wallet_changed" });
  });
}

// threat: 7
test("a squatter that claims to know nothing gets no further than its own key", async () => {
  const wallet = await makeWallet();
  const app = start({ wallets: [wallet] });
  await (await app.halo.signIn()).signOut();
  const squatter = await makeWallet();
  app.wallets = [squatter];
  await assert.rejects(app.halo.signIn(), { code: "wallet_changed" });
  assert.equal((await app.storage.load()).wallet, wallet.jwk.x, "the pin stays");
  assert.ok(squatter.calls.includes("/revoke"), "what it gave is given back");
});

test("a user who forgets the old wallet can use the new one", async () => {
  const wallet = await makeWallet();
  const app = start({ wallets: [wallet] });
  await app.halo.signIn();
  await app.halo.forget();
  const other = await makeWallet();
  app.wallets = [other];
  await app.halo.signIn();
  assert.equal((await app.storage.load()).wallet, other.jwk.x);
});

test("of several wallets the known one is found, wherever it listens", async () => {
  const [mine, others] = [await makeWallet({ issuer: "http://127.0.0.1:47111" }), await makeWallet()];
  const app = start({ wallets: [mine] });
  await (await app.halo.signIn()).signOut();
  app.wallets = [others, mine];
  await app.halo.signIn({ onWords: () => assert.fail("it is known") });
  assert.equal(others.asked.length, 0);
});

test("a session survives a reload without asking the user", async () => {
  const wallet = await makeWallet();
  const storage = memoryStorage();
  const before = start({ wallets: [wallet], storage });
  const { subject } = await before.halo.signIn();
  before.halo.close();
  const after = start({ wallets: [wallet], storage });
  const [one, two] = await Promise.all([after.halo.session(), after.halo.session()]);
  assert.equal(one, two, "one session, however often it is asked for");
  assert.equal(one.subject, subject);
  assert.equal(one.state, "active");
  assert.equal(wallet.asked.length, 1);
});

test("a session survives a restart of the wallet, which forgets its access tokens", async () => {
  const wallet = await makeWallet();
  const app = start({ wallets: [wallet] });
  const session = await app.halo.signIn();
  wallet.restart();
  assert.equal((await session.fetch("/userinfo")).status, 200);
});

test("ten requests at once refresh an old session once", async () => {
  const wallet = await makeWallet();
  const app = start({ wallets: [wallet] });
  wallet.life = 1;
  const session = await app.halo.signIn();
  wallet.life = 600;
  let refreshed = 0;
  wallet.beforeRefresh = async () => void (refreshed += 1);
  const replies = await Promise.all(Array.from({ length: 10 }, () => session.fetch("/userinfo")));
  assert.deepEqual(new Set(replies.map((reply) => reply.status)), new Set([200]));
  assert.equal(refreshed, 1);
});

// threat: 9
test("two tabs never use one refresh token twice", async () => {
  const wallet = await makeWallet();
  const storage = memoryStorage();
  wallet.life = 1;
  const first = start({ wallets: [wallet], storage });
  const session = await first.halo.signIn();
  const second = start({ wallets: [wallet], storage });
  const restored = await second.halo.session();
  wallet.life = 600;
  const replies = await Promise.all([session.fetch("/userinfo"), restored.fetch("/userinfo"), session.proof("a"), restored.proof("b")]);
  assert.equal(replies[0].status, 200);
  assert.equal(replies[1].status, 200);
  assert.equal(decodeJwt(replies[3]).nonce, "b");
});

test("a proof for a new nonce needs no prompt", async () => {
  const wallet = await makeWallet();
  const app = start({ wallets: [wallet] });
  const session = await app.halo.signIn({ nonce: "first" });
  assert.equal(decodeJwt(await session.proof("second")).nonce, "second");
  assert.equal(wallet.asked.length, 1);
});

// threat: 18
test("a revoked session is over at once, and stays over after a reload", async () => {
  const wallet = await makeWallet();
  const app = start({ wallets: [wallet] });
  const ready = new Promise((resolve) => (wallet.onReady = resolve));
  const session = await app.halo.signIn();
  await ready;
  const out = app.next("signed-out");
  wallet.revoke();
  assert.equal(await out, "revoked");
  assert.equal(session.state, "signed_out");
  await app.storage.exclusive(async () => undefined);
  assert.equal(await start({ wallets: [wallet], storage: app.storage }).halo.session(), undefined);
});

// threat: 18
test("a session that was revoked while the page was closed does not come back", async () => {
  const wallet = await makeWallet();
  const app = start({ wallets: [wallet] });
  await app.halo.signIn();
  app.halo.close();
  wallet.revoke();
  const after = start({ wallets: [wallet], storage: app.storage });
  assert.equal(await after.halo.session(), undefined);
  assert.deepEqual(after.events, ["signed_out", "signed-out revoked"]);
  assert.equal((await app.storage.load()).session, undefined);
});

test("a locked wallet is no sign-out, and the session comes back when it is unlocked", async () => {
  const wallet = await makeWallet();
  const app = start({ wallets: [wallet] });
  const ready = new Promise((resolve) => (wallet.onReady = resolve));
  const session = await app.halo.signIn();
  await ready;
  const locked = app.next("state");
  wallet.lock();
  assert.equal(await locked, "locked");
  await assert.rejects(session.fetch("/userinfo"), { code: "locked" });
  wallet.locked = false;
  const back = app.next("state");
  app.wake();
  assert.equal(await back, "active");
  assert.deepEqual(app.events, ["active", "locked", "active"]);
});

test("a session whose wallet does not run is there, unreachable, and comes back", async () => {
  const wallet = await makeWallet();
  const app = start({ wallets: [wallet] });
  await app.halo.signIn();
  app.halo.close();
  wallet.down = true;
  const after = start({ wallets: [wallet], storage: app.storage });
  const session = await after.halo.session();
  assert.equal(session.state, "unreachable");
  assert.equal(session.name, "Ada", "as it was last");
  wallet.down = false;
  const back = after.next("state");
  // It may be between two attempts, or in the middle of one.
  const waking = setInterval(after.wake, 5);
  assert.equal(await back, "active");
  clearInterval(waking);
});

test("signing out ends the session here and in the wallet", async () => {
  const wallet = await makeWallet();
  const app = start({ wallets: [wallet] });
  const session = await app.halo.signIn();
  await session.signOut();
  assert.ok(wallet.calls.includes("/revoke"));
  assert.equal((await app.storage.load()).session, undefined);
  assert.equal(await app.halo.session(), undefined);
  await assert.rejects(session.proof("x"), { code: "signed_out" });
});

for (const [code, answer] of [
  ["denied", ["access_denied", "the user said no"]],
  ["muted", ["access_denied", "the user said no several times: ask again later"]],
  ["expired", ["expired_token", "nobody answered in time"]],
  ["locked", ["locked", "the wallet is locked"]],
  ["refused", ["invalid_scope", "a scope is not available in this version"]],
]) {
  test(`an answer of "${answer[0]}: ${answer[1]}" is the error ${code}`, async () => {
    const wallet = await makeWallet();
    wallet.answer = answer;
    const app = start({ wallets: [wallet] });
    await assert.rejects(app.halo.signIn(), (error) => {
      assert.equal(error.code, code);
      assert.ok(error.message.endsWith(".") && error.next.endsWith("."), "what happened, and what to do");
      return true;
    });
    assert.equal(app.shown.length, 0, "the dialog is gone");
  });
}

test("no wallet, no identity and a locked wallet each have their own error", async () => {
  const wallet = await makeWallet();
  const app = start({ wallets: [] });
  await assert.rejects(app.halo.signIn(), { code: "not_installed" });
  app.wallets = [wallet];
  wallet.refuse = "no_identity";
  await assert.rejects(app.halo.signIn(), { code: "no_identity" });
  wallet.locked = true;
  await assert.rejects(app.halo.signIn(), { code: "locked" });
});

test("cancelling ends the wait", async () => {
  const wallet = await makeWallet();
  wallet.answer = "wait";
  const app = start({ wallets: [wallet] });
  const stop = new AbortController();
  await assert.rejects(app.halo.signIn({ signal: stop.signal, onWords: () => stop.abort() }), { code: "cancelled" });
  const attempt = app.halo.signIn();
  while (app.shown.length === 0) await new Promise((resolve) => setImmediate(resolve));
  app.shown[0].cancel();
  await assert.rejects(attempt, { code: "cancelled" });
});

test("a redirect comes back with a session", async () => {
  const wallet = await makeWallet();
  const app = start({ wallets: [wallet] });
  let shown;
  const url = new URL(await app.halo.leave({ nonce: "n", onWords: (words) => void (shown = words) }));
  assert.equal(url.origin + url.pathname, "http://127.0.0.1:47110/authorize");
  assert.deepEqual(shown, wallet.asked[0].words);
  const { state } = wallet.asked[0].form;
  const code = wallet.codeOf(url.searchParams.get("request_uri"));
  const back = start({ wallets: [wallet], storage: app.storage });
  const session = await back.halo.comeBack({ code, state, iss: wallet.issuer });
  assert.equal(decodeJwt(await session.proof("n")).nonce, "n");
  assert.equal((await app.storage.load()).redirect, undefined);
});

// threat: 9
test("an answer this app did not ask for is not taken", async () => {
  const wallet = await makeWallet();
  const app = start({ wallets: [wallet] });
  const url = new URL(await app.halo.leave({ onWords() {} }));
  const code = wallet.codeOf(url.searchParams.get("request_uri"));
  const { state } = wallet.asked[0].form;
  await assert.rejects(app.halo.comeBack({ code, state: "another", iss: wallet.issuer }), { code: "protocol" });
  await assert.rejects(app.halo.comeBack({ code, state, iss: wallet.issuer }), { code: "protocol" }, "one answer a request");
  const again = new URL(await app.halo.leave({ onWords() {} }));
  const answer = { code: wallet.codeOf(again.searchParams.get("request_uri")), state: wallet.asked[1].form.state };
  await assert.rejects(app.halo.comeBack({ ...answer, iss: "http://127.0.0.1:47112" }), { code: "protocol" }, "mixed up");
});

test("a denied redirect says so", async () => {
  const wallet = await makeWallet();
  const app = start({ wallets: [wallet] });
  await app.halo.leave({ onWords() {} });
  const { state } = wallet.asked[0].form;
  await assert.rejects(app.halo.comeBack({ error: "access_denied", state, iss: wallet.issuer }), { code: "denied" });
});
