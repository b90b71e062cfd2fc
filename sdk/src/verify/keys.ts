/** Public keys as DIDs. */

import { fromBase58, hex, toBase32, type Bytes } from "./bytes.js";

/**
 * Points for which a signature says nothing, in every encoding (the eight of small order, libsodium's list). A signature by
 * such a key fits any message, so nobody is shown by it.
 */
const WEAK = new Set(
  [
    "00".repeat(32),
    `01${"00".repeat(31)}`,
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    `ec${"ff".repeat(30)}7f`,
    `ed${"ff".repeat(30)}7f`,
    `ee${"ff".repeat(30)}7f`,
  ].flatMap((key) => [key, signFlipped(key)]),
);

function signFlipped(key: string): string {
  const last = Number.parseInt(key.slice(62), 16) ^ 0x80;
  return key.slice(0, 62) + last.toString(16).padStart(2, "0");
}

/** The Ed25519 key of a `did:key`, if it is one. */
export function keyOfDid(did: string): Bytes | undefined {
  if (!did.startsWith("did:key:z")) return undefined;
  // 0xed 0x01 is the multicodec of Ed25519 public keys.
  const bytes = fromBase58(did.slice("did:key:z".length), 34);
  if (bytes?.[0] !== 0xed || bytes[1] !== 0x01) return undefined;
  const key = bytes.slice(2);
  return WEAK.has(hex(key)) ? undefined : key;
}

/** `did:halo:B…`: the id DXOS gives to an identity key. */
export async function haloDid(identity: Bytes): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", identity));
  return `did:halo:B${toBase32(hash.slice(0, 20))}`;
}
