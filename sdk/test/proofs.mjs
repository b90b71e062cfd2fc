// Proofs as a wallet makes them, and as it would never make them.

import { SignJWT } from "jose";
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign } from "node:crypto";

const ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
export const NOW = new Date("2026-11-23T12:00:00Z");
export const AUDIENCE = "https://app.example";
export const NONCE = "n-0S6_WzA2Mj";

export function makeKey() {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const bytes = Buffer.from(publicKey.export({ format: "jwk" }).x, "base64url");
  return { privateKey, bytes, did: didOf(bytes) };
}

export function didOf(key) {
  let value = BigInt(`0x${Buffer.concat([Buffer.from([0xed, 0x01]), key]).toString("hex")}`);
  let text = "";
  for (; value > 0n; value /= 58n) text = ALPHABET[Number(value % 58n)] + text;
  return `did:key:z${text}`;
}

export const kidOf = (did) => `${did}#${did.slice("did:key:".length)}`;

/** Claims of an alias proof that holds at {@link NOW}. */
export function claimsOf(did) {
  const iat = NOW.getTime() / 1000 - 10;
  return { iss: did, sub: did, aud: AUDIENCE, nonce: NONCE, iat, exp: iat + 300, name: "Ada" };
}

export async function makeProof(signer, claims, header = {}) {
  return new SignJWT(claims)
    .setProtectedHeader({ alg: "EdDSA", typ: "halo-proof+jwt", kid: kidOf(signer.did), ...header })
    .sign(createPrivateKey(signer.privateKey.export({ format: "pem", type: "pkcs8" })));
}

const varint = (value) => {
  const bytes = [];
  for (let rest = BigInt(value); ; rest >>= 7n) {
    if (rest < 128n) return Buffer.from([...bytes, Number(rest)]);
    bytes.push(Number(rest & 127n) | 128);
  }
};
export const number = (field, value) => Buffer.concat([varint(field << 3), varint(value)]);
export const bytes = (field, value) => Buffer.concat([varint((field << 3) | 2), varint(value.length), value]);

/** The body of an AuthorizedDevice; `change` may replace fields, or add some before or after. */
export function body({ issuer, device, identity, change = {} }) {
  const fields = {
    before: Buffer.alloc(0),
    version: number(1, 1),
    issuer: bytes(2, issuer.bytes),
    subject: bytes(3, device.bytes),
    issued: number(4, NOW.getTime() - 1000),
    expires: Buffer.alloc(0),
    parents: Buffer.alloc(0),
    said: bytes(17, Buffer.concat([bytes(1, identity.bytes), bytes(2, device.bytes), bytes(3, Buffer.alloc(32, 9))])),
    after: Buffer.alloc(0),
    ...change,
  };
  return Buffer.concat(Object.values(fields));
}

export const PREFIX = Buffer.from("\0halo statement v1\0\u0001");

export function credential(signer, said, prefix = PREFIX) {
  return Buffer.concat([sign(null, Buffer.concat([prefix, said]), signer.privateKey), said]);
}

/** A chain as the header carries it. */
export const chain = (...links) => ({ halo_chain: links.map((link) => link.toString("base64url")) });

export { createPublicKey };
