// The SDK in a program, over the wallet's Unix socket.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileStorage, HaloNative } from "@halo-wallet/sdk/node";
import { verifyProof } from "@halo-wallet/sdk/verify";

import { Wallet } from "./wallet.mjs";

let wallet;
let dir;
before(async () => {
  [wallet, dir] = await Promise.all([Wallet.start(), mkdtemp(join(tmpdir(), "halo-app-"))]);
  process.env.XDG_RUNTIME_DIR = wallet.runtimeDir;
});
after(() => Promise.all([wallet?.end(), rm(dir, { recursive: true })]));

const open = (options = {}) =>
  new HaloNative({ clientId: "org.example.notes", name: "Notes", profile: wallet.profile, storage: fileStorage(join(dir, "notes.json")), ...options });

/** Signs in as a user who compares the words. */
async function signIn(halo, approval = {}) {
  let tell;
  const shown = new Promise((resolve) => (tell = resolve));
  const signedIn = halo.signIn({ nonce: "n", onWords: tell });
  const request = await wallet.request();
  await wallet.approve(request, { words: await shown, ...approval });
  return { session: await signedIn, request };
}

/** The next value of an event. */
const next = (halo, name) =>
  new Promise((resolve) => {
    const stop = halo.on(name, (value) => {
      stop();
      resolve(value);
    });
  });

test("a program signs its user in, and its executable stands in the prompt", async () => {
  const halo = open();
  const { session, request } = await signIn(halo);
  assert.equal(request.app.process.path, process.execPath);
  const verified = await verifyProof(await session.proof("n"), { audience: "org.example.notes", nonce: "n" });
  assert.deepEqual(verified, { subject: session.subject, identity: false, name: "Ada" });
  halo.close();

  const later = open();
  const again = await later.session();
  assert.equal(again.subject, session.subject);
  assert.equal(again.state, "active");
  await verifyProof(await again.proof("m"), { audience: "org.example.notes", nonce: "m" });

  const out = next(later, "signed-out");
  await wallet.revoke("org.example.notes");
  assert.equal(await out, "revoked");
  later.close();
});

test("the identity is shown with the chain of the device", async () => {
  const halo = open({ clientId: "org.example.office", storage: fileStorage(join(dir, "office.json")), identity: true });
  const { session } = await signIn(halo, { identity: true });
  const proof = await session.proof("n");
  const verified = await verifyProof(proof, { audience: "org.example.office", nonce: "n" });
  assert.equal(verified.identity, true);
  assert.equal(verified.subject, wallet.identity.did_key);
  assert.equal(verified.did, wallet.identity.did);
  await assert.rejects(verifyProof(proof, { audience: "org.example.notes", nonce: "n" }), { code: "audience" });
  await assert.rejects(verifyProof(proof, { audience: "org.example.office", nonce: "m" }), { code: "nonce" });
  const later = new Date(Date.now() + 6 * 60_000);
  await assert.rejects(verifyProof(proof, { audience: "org.example.office", nonce: "n", now: later }), { code: "expired" });
  halo.close();
});

test("a program hears of lock and unlock", async () => {
  const halo = open({ clientId: "org.example.patient", storage: fileStorage(join(dir, "patient.json")) });
  const { session } = await signIn(halo);
  await session.userInfo();
  const locked = next(halo, "state");
  await wallet.lock();
  assert.equal(await locked, "locked");
  const back = next(halo, "state");
  await wallet.unlock();
  assert.equal(await back, "active");
  halo.close();
});

test("without a wallet a program is told so", async () => {
  const halo = open({ profile: join(dir, "nobody") });
  await assert.rejects(halo.signIn({ onWords() {} }), { code: "not_installed" });
});
