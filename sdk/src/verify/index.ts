/**
 * Verifies a proof in a backend: no call home, no account anywhere, no DOM.
 *
 * A proof is a JWT signed by a key that its subject names itself (`did:key`). By default that is a private alias, which
 * any JOSE library can verify as well. Where the user shows their real identity, their device signs, and the header carries the
 * credentials that lead from the device to the identity; those are what this module verifies in addition.
 *
 * The attacks it stands against: a proof made for another app, or another sign-in, or long ago; a device that does not
 * belong to the identity; a chain that somebody edited. It cannot know that a device was revoked since the chain was
 * made: proofs live five minutes, and the wallet of a revoked device makes no more.
 */

import { compactVerify, importJWK } from "jose";

import { fromBase64Url, same, toBase64Url, type Bytes } from "./bytes.js";
import { readAuthorizedDevice } from "./credential.js";
import { ProofError } from "./errors.js";
import { haloDid, keyOfDid } from "./keys.js";

export { ProofError, type ProofErrorCode } from "./errors.js";

const TYPE = "halo-proof+jwt";
const LONGEST = 32 * 1024;
const LONGEST_CHAIN = 8;
/** Seconds. */
const LONGEST_LIFE = 5 * 60;
/** Clocks of two machines may differ by so many seconds. */
const CLOCK_SKEW = 60;

export interface ExpectedProof {
  /** Your own origin, such as `https://app.example`, or the id of your program. */
  audience: string;
  /** The nonce you gave out for this one sign-in; `null` only if you gave none. */
  nonce: string | null;
  /** Default: now. */
  now?: Date;
}

export interface VerifiedProof {
  /** Who it is: the same `did:key` for ever for this user and this app. The key of your user table. */
  subject: string;
  /** `did:halo:…` of the real identity, where the user showed it. */
  did?: string;
  /** Whether `subject` is the real identity and not a private alias. */
  identity: boolean;
  /** What the user calls themselves, if shared. A claim of theirs: show it, do not decide by it. */
  name?: string;
  /** A `data:` URL, if shared. */
  picture?: string;
}

/** Verifies a proof. Throws a {@link ProofError} that says what does not hold. */
export async function verifyProof(jwt: string, expected: ExpectedProof): Promise<VerifiedProof> {
  if (typeof jwt !== "string" || jwt.length > LONGEST) throw new ProofError("form", "that is no proof, or too long");
  const parts = jwt.split(".");
  const [head = "", body = ""] = parts;
  if (parts.length !== 3) throw new ProofError("form", "a proof has three parts");
  const header = readJson(head);
  const claims = readJson(body);
  if (header.alg !== "EdDSA" || header.typ !== TYPE) throw new ProofError("form", "it is another kind of token");
  const { iss, sub, aud, nonce, iat, exp } = claims;
  if (typeof sub !== "string" || iss !== sub) throw new ProofError("form", "its issuer is not its subject");
  const subject = keyOfDid(sub);
  const signer = signerOf(header.kid);
  if (!subject || !signer) throw new ProofError("form", "its subject or key id is not an Ed25519 did:key");
  await verifySignature(jwt, signer);
  const chain = header.halo_chain ?? [];
  const now = (expected.now ?? new Date()).getTime();
  if (!Array.isArray(chain)) throw new ProofError("form", "halo_chain is not a list");
  const identity = chain.length > 0;
  if (identity) await verifyChain(chain, signer, subject, now);
  else if (!same(signer, subject)) throw new ProofError("chain", "the signer is not the subject");
  if (aud !== expected.audience) throw new ProofError("audience", "the proof was made for another app");
  if ((nonce ?? null) !== expected.nonce) throw new ProofError("nonce", "the proof was made for another sign-in");
  if (!isSeconds(iat) || !isSeconds(exp)) throw new ProofError("form", "it does not say when it was made and ends");
  const seconds = Math.floor(now / 1000);
  if (exp > iat + LONGEST_LIFE || exp <= seconds || iat > seconds + CLOCK_SKEW) {
    throw new ProofError("expired", "the proof is over, or of the future, or lives too long");
  }
  return {
    subject: sub,
    identity,
    ...(identity ? { did: await haloDid(subject) } : {}),
    ...(typeof claims.name === "string" ? { name: claims.name } : {}),
    ...(typeof claims.picture === "string" ? { picture: claims.picture } : {}),
  };
}

/** The key a `kid` names: `did:key:z…#z…`, both halves the same. */
function signerOf(kid: unknown): Bytes | undefined {
  if (typeof kid !== "string") return undefined;
  const [did = "", fragment] = kid.split("#");
  return `did:key:${fragment ?? ""}` === did ? keyOfDid(did) : undefined;
}

async function verifySignature(jwt: string, signer: Bytes): Promise<void> {
  try {
    const key = await importJWK({ kty: "OKP", crv: "Ed25519", x: toBase64Url(signer) }, "EdDSA");
    await compactVerify(jwt, key, { algorithms: ["EdDSA"] });
  } catch (cause) {
    throw new ProofError("signature", "the signature does not fit", { cause });
  }
}

/** Each credential authorises the device before it, and the identity issued the last. */
async function verifyChain(chain: unknown[], device: Bytes, identity: Bytes, now: number): Promise<void> {
  if (chain.length > LONGEST_CHAIN) throw new ProofError("chain", "the chain is too long");
  let speaker = device;
  for (const link of chain) {
    const bytes = typeof link === "string" ? fromBase64Url(link) : undefined;
    if (!bytes) throw new ProofError("chain", "a link is not base64url");
    const said = await readAuthorizedDevice(bytes);
    if (!same(said.identity, identity) || !same(said.device, speaker) || !same(said.subject, speaker)) {
      throw new ProofError("chain", "a link does not authorise this device for this identity");
    }
    if (said.expires !== undefined && said.expires <= BigInt(now)) throw new ProofError("chain", "a link is over");
    speaker = said.issuer;
  }
  if (!same(speaker, identity)) throw new ProofError("chain", "the chain does not lead to the identity");
}

function readJson(part: string): Record<string, unknown> {
  const bytes = fromBase64Url(part);
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Falls through to the error below.
  }
  throw new ProofError("form", "that is not a JWT");
}

function isSeconds(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0;
}
