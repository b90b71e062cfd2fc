import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { ProofError, verifyProof } from "../dist/verify/index.js";
import { AUDIENCE, body, bytes, chain, claimsOf, credential, didOf, kidOf, makeKey, makeProof, NONCE, NOW, number, PREFIX } from "./proofs.mjs";

const expected = { audience: AUDIENCE, nonce: NONCE, now: NOW };
const [alias, identity, device, stranger] = [makeKey(), makeKey(), makeKey(), makeKey()];

const link = (options = {}, signer = identity, prefix = PREFIX) =>
  credential(signer, body({ issuer: identity, device, identity, ...options }), prefix);
const identityProof = (header = chain(link()), claims = claimsOf(identity.did), signer = device) => makeProof(signer, claims, header);

async function refuses(jwt, code, options = {}) {
  await assert.rejects(verifyProof(await jwt, { ...expected, ...options }), (error) => {
    assert.ok(error instanceof ProofError, String(error));
    assert.equal(error.code, code, error.message);
    return true;
  });
}

test("an alias vouches for itself", async () => {
  const verified = await verifyProof(await makeProof(alias, claimsOf(alias.did)), expected);
  assert.deepEqual(verified, { subject: alias.did, identity: false, name: "Ada" });
});

test("a device vouches for its identity, whose halo DID is told too", async () => {
  const verified = await verifyProof(await identityProof(), expected);
  assert.equal(verified.subject, identity.did);
  assert.equal(verified.identity, true);
  assert.match(verified.did, /^did:halo:B[A-Z2-7]{32}$/);
});

test("a device may be authorised by another device of the identity", async () => {
  const first = makeKey();
  const upper = credential(identity, body({ issuer: identity, device: first, identity }));
  const lower = credential(first, body({ issuer: first, device, identity }));
  assert.equal((await verifyProof(await identityProof(chain(lower, upper)), expected)).subject, identity.did);
  await refuses(identityProof(chain(upper, lower)), "chain");
  await refuses(identityProof(chain(lower)), "chain");
});

// threat: 10
test("a proof for another app is refused", async () => {
  await refuses(makeProof(alias, claimsOf(alias.did)), "audience", { audience: "https://evil.example" });
  await refuses(makeProof(alias, { ...claimsOf(alias.did), aud: [AUDIENCE] }), "audience");
  await refuses(identityProof(), "audience", { audience: "https://evil.example" });
});

// threat: 9
test("a proof for another sign-in is refused", async () => {
  await refuses(makeProof(alias, claimsOf(alias.did)), "nonce", { nonce: "another" });
  await refuses(makeProof(alias, claimsOf(alias.did)), "nonce", { nonce: null });
  const without = { ...claimsOf(alias.did), nonce: undefined };
  await refuses(makeProof(alias, without), "nonce");
  assert.ok(await verifyProof(await makeProof(alias, without), { ...expected, nonce: null }));
});

test("a proof that is over, of the future, or lives too long is refused", async () => {
  const at = (seconds) => ({ now: new Date(NOW.getTime() + seconds * 1000) });
  const proof = await makeProof(alias, claimsOf(alias.did));
  assert.ok(await verifyProof(proof, { ...expected, ...at(289) }));
  await refuses(proof, "expired", at(290));
  await refuses(proof, "expired", at(-71));
  const { iat } = claimsOf(alias.did);
  await refuses(makeProof(alias, { ...claimsOf(alias.did), exp: iat + 301 }), "expired");
  await refuses(makeProof(alias, { ...claimsOf(alias.did), exp: undefined }), "form");
  await refuses(makeProof(alias, { ...claimsOf(alias.did), iat: "1" }), "form");
});

test("a foreign device cannot show an identity", async () => {
  await refuses(identityProof(chain(link()), claimsOf(identity.did), stranger), "chain");
  await refuses(identityProof({}, claimsOf(identity.did), device), "chain", {});
  await refuses(identityProof(chain(link()), claimsOf(stranger.did)), "chain");
  const own = credential(stranger, body({ issuer: stranger, device, identity }));
  await refuses(identityProof(chain(own)), "chain");
});

test("a chain in which one bit is flipped is refused, wherever it is", async () => {
  const honest = link();
  for (let at = 0; at < honest.length; at += 1) {
    const flipped = Buffer.from(honest);
    flipped[at] ^= 1 << at % 8;
    await refuses(identityProof(chain(flipped)), "chain");
  }
});

const parent = (byte) => bytes(6, Buffer.alloc(32, byte));
const ahead = (name, change, signer) => [name, link({ change }, signer)];
for (const [fault, broken] of [
  ahead("another version", { version: number(1, 2) }),
  ahead("no version", { version: Buffer.alloc(0) }),
  ahead("a field twice", { after: number(1, 1) }),
  ahead("an unknown field", { after: number(30, 1) }),
  ahead("fields out of order", { before: number(4, 5), issued: Buffer.alloc(0) }),
  ahead("a number longer than it need be", { version: Buffer.from([0x08, 0x81, 0x00]) }),
  ahead("a key of 31 bytes", { issuer: bytes(2, identity.bytes.subarray(1)) }),
  ahead("parents out of order", { parents: Buffer.concat([parent(2), parent(1)]) }),
  ahead("the same parent twice", { parents: Buffer.concat([parent(1), parent(1)]) }),
  ahead("65 parents", { parents: Buffer.concat(Array.from({ length: 65 }, (_, n) => parent(n))) }),
  ahead("an end in the past", { expires: number(5, NOW.getTime()) }),
  ahead("an end at the beginning of time", { expires: number(5, 0) }),
  ahead("a revocation instead", { said: bytes(20, bytes(1, device.bytes)) }),
  ahead("nothing said", { said: Buffer.alloc(0) }),
  ahead("another subject", { subject: bytes(3, stranger.bytes) }),
  ["a signature without the prefix", link({}, identity, Buffer.alloc(0))],
  ["a signature for another kind of statement", link({}, identity, Buffer.from("\0halo statement v1\0\u0002"))],
  ["a signature by somebody else", link({}, stranger)],
  ["only a signature", link().subarray(0, 64)],
  ["nothing", Buffer.alloc(0)],
  ["more than there may be", link({ change: { parents: Buffer.alloc(17_000) } })],
]) {
  test(`a link with ${fault} is refused`, () => refuses(identityProof(chain(broken)), "chain"));
}

test("links that are fine are taken: with parents, with an end to come", async () => {
  const change = { parents: Buffer.concat([parent(1), parent(2)]), expires: number(5, NOW.getTime() + 1) };
  assert.ok(await verifyProof(await identityProof(chain(link({ change }))), expected));
});

test("a chain that is too long, or none, is refused", async () => {
  await refuses(identityProof(chain(...Array.from({ length: 9 }, () => link()))), "chain");
  await refuses(identityProof({ halo_chain: link().toString("base64url") }), "form");
  await refuses(identityProof({ halo_chain: [7] }), "chain");
  await refuses(identityProof({ halo_chain: [`${link().toString("base64url")}=`] }), "chain");
});

// threat: 16
test("another algorithm, type or key is refused", async () => {
  await refuses(makeProof(alias, claimsOf(alias.did), { typ: "JWT" }), "form");
  await refuses(makeProof(alias, claimsOf(alias.did), { typ: undefined }), "form");
  await refuses(makeProof(alias, claimsOf(alias.did), { kid: alias.did }), "form");
  await refuses(makeProof(alias, claimsOf(alias.did), { kid: `${alias.did}#key-1` }), "form");
  await refuses(makeProof(alias, claimsOf(alias.did), { kid: kidOf(stranger.did) }), "signature");
  await refuses(makeProof(alias, { ...claimsOf(alias.did), iss: stranger.did }), "form");
  await refuses(makeProof(alias, claimsOf("did:web:app.example")), "form");
  const part = (json) => Buffer.from(JSON.stringify(json)).toString("base64url");
  const header = (change) => part({ alg: "EdDSA", typ: "halo-proof+jwt", kid: kidOf(alias.did), ...change });
  for (const alg of ["none", "HS256", "ES256"]) await refuses(`${header({ alg })}.${part(claimsOf(alias.did))}.`, "form");
});

test("a key of small order, for which anybody can sign, shows nobody", async () => {
  for (const key of ["00".repeat(32), `01${"00".repeat(31)}`, `ec${"ff".repeat(30)}7f`, `01${"00".repeat(30)}80`]) {
    const did = didOf(Buffer.from(key, "hex"));
    await refuses(makeProof(alias, claimsOf(did), { kid: kidOf(did) }), "form");
  }
});

// threat: 21
test("whatever is not a proof is refused quietly", async () => {
  const proof = await makeProof(alias, claimsOf(alias.did));
  for (const junk of ["", ".", "..", "a.b.c", proof.slice(1), `${proof}.`, `${proof}=`, proof.replace(".", ".."), "x".repeat(40_000)]) {
    await assert.rejects(verifyProof(junk, expected), ProofError);
  }
  await refuses(proof.slice(0, -6) + (proof.at(-6) === "A" ? "B" : "A") + proof.slice(-5), "signature");
  await refuses(undefined, "form");
  await refuses(makeProof(alias, claimsOf(`did:key:z${"1".repeat(48)}`)), "form");
  await refuses(makeProof(alias, claimsOf(`did:key:z${"z".repeat(20_000)}`)), "form");
});

const vectors = JSON.parse(await readFile(new URL("../../crates/protocol/vectors/proofs.json", import.meta.url), "utf8"));
for (const { name, jwt, audience, nonce, now_ms, valid, fault, subject, identity } of vectors) {
  test(`the published proof "${name}" is ${valid ? "taken" : "refused"}`, async () => {
    const options = { audience, nonce, now: new Date(now_ms) };
    if (!valid) return refuses(jwt, fault, options);
    const verified = await verifyProof(jwt, options);
    assert.deepEqual([verified.subject, verified.identity], [subject, identity]);
  });
}
