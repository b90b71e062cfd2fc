/**
 * First contact: do this app and the wallet in front of the user talk to each other?
 *
 * Both sides commit to a random number before they see the other's, and turn everything that was said into three
 * words. A program that squats the wallet's port, or sits in between, cannot steer what the two sides show: its guess is
 * right once in four, and a wrong pick ends the request. The wallet also commits to its key for this app, which it
 * shows only after the user said yes; from then on the app knows the wallet by it.
 *
 * The attack that remains: a user who picks without looking.
 */

import { calculateJwkThumbprint, type JWK } from "jose";

import type { Reply } from "./door.js";
import { concat, fromBase64Url, randomText, sha256, toBase64Url, utf8 } from "./encoding.js";
import { HaloError, protocolError } from "./errors.js";
import { wordsOf, type Words } from "./words.js";

export interface FirstContact {
  readonly nonce: string;
  /** Form fields to add to the request. */
  readonly fields: Record<string, string>;
}

/** What the wallet answered to a request that opens a first contact. */
export interface Introduction {
  requestId: string;
  walletCommitment: string;
  words: Words;
}

export async function makeFirstContact(): Promise<FirstContact> {
  const nonce = randomText();
  const commitment = toBase64Url(await sha256(utf8(nonce)));
  return { nonce, fields: { halo_commitment: commitment } };
}

/** Reads the wallet's half and computes the words. */
export async function introduction(
  contact: FirstContact,
  reply: Reply,
  clientId: string,
  thumbprint: string,
): Promise<Introduction> {
  const { request_id, halo_wallet_commitment, halo_wallet_nonce } = reply.body;
  if (typeof request_id !== "string" || typeof halo_wallet_commitment !== "string" || typeof halo_wallet_nonce !== "string") {
    throw protocolError("the wallet took no part in the comparison of words");
  }
  const transcript = [clientId, thumbprint, contact.nonce, halo_wallet_commitment, halo_wallet_nonce, request_id];
  return { requestId: request_id, walletCommitment: halo_wallet_commitment, words: await transcriptWords(transcript) };
}

/** The words of a transcript: each field with its length before it, so that none can lend a letter to the next. */
export async function transcriptWords(fields: string[]): Promise<Words> {
  const parts = [utf8("halo first contact v1")];
  for (const field of fields) {
    const bytes = utf8(field);
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, bytes.length);
    parts.push(length, bytes);
  }
  return wordsOf(await sha256(concat(...parts)));
}

/** Opens the wallet's commitment: returns the key it committed to before the words were shown. */
export async function openCommitment(commitment: string, body: Record<string, unknown>): Promise<string> {
  const key = body.halo_wallet_key as Partial<JWK> | undefined;
  const salt = body.halo_wallet_salt;
  if (typeof salt !== "string" || typeof key?.x !== "string") throw protocolError("the wallet did not show its key");
  const thumbprint = fromBase64Url(await calculateJwkThumbprint(walletJwk(key.x), "sha256"));
  if (toBase64Url(await sha256(concat(fromBase64Url(salt), thumbprint))) !== commitment) {
    throw new HaloError("words_mismatch", { detail: "the wallet's key is not the one it committed to" });
  }
  return key.x;
}

/** The wallet's key for this app, from its coordinate. */
export function walletJwk(x: string): JWK {
  return { kty: "OKP", crv: "Ed25519", x };
}
