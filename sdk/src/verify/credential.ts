/**
 * The one credential a verifier reads: "this device speaks for this identity".
 *
 * On the wire it is an Ed25519 signature (64 bytes) and a protobuf body. The signature covers the body under a prefix that no
 * JWT can begin with, so neither passes for the other. Only the one canonical encoding is taken: fields in order,
 * shortest numbers, nothing unknown. See docs/protocol/credentials.md.
 */

import type { Bytes } from "./bytes.js";
import { ProofError } from "./errors.js";

const LONGEST_BODY = 16 * 1024;
const MOST_PARENTS = 64;
const VERSION = 1n;
/** `\0halo statement v1\0` and the kind of statement: 1 is a credential. */
const PREFIX = new TextEncoder().encode("\0halo statement v1\0\u0001");

export interface AuthorizedDevice {
  issuer: Bytes;
  subject: Bytes;
  /** Milliseconds since the epoch. */
  expires: bigint | undefined;
  identity: Bytes;
  device: Bytes;
}

/** Reads and verifies. Throws a {@link ProofError} `chain`. */
export async function readAuthorizedDevice(bytes: Bytes): Promise<AuthorizedDevice> {
  if (bytes.length <= 64 || bytes.length > 64 + LONGEST_BODY) throw broken("a link has an impossible length");
  const body = bytes.slice(64);
  const said = readBody(body);
  const signed = new Uint8Array(PREFIX.length + body.length);
  signed.set(PREFIX);
  signed.set(body, PREFIX.length);
  if (!(await verify(said.issuer, bytes.slice(0, 64), signed))) throw broken("a link is not signed by its issuer");
  return said;
}

async function verify(key: Bytes, signature: Bytes, message: Bytes): Promise<boolean> {
  try {
    const imported = await crypto.subtle.importKey("raw", key, "Ed25519", false, ["verify"]);
    return await crypto.subtle.verify("Ed25519", imported, signature, message);
  } catch {
    return false;
  }
}

function readBody(bytes: Bytes): AuthorizedDevice {
  const reader = new Reader(bytes);
  if (reader.number(1) !== VERSION) throw broken("a link is of another version");
  const issuer = reader.key(2);
  const subject = reader.key(3);
  // Zero is not written, and no credential was made in 1970.
  reader.number(4);
  const expires = reader.next === 5 ? reader.number(5) : undefined;
  let before: Bytes | undefined;
  for (let count = 0; reader.next === 6; count += 1) {
    const parent = reader.key(6);
    if (count >= MOST_PARENTS || (before && !isBefore(before, parent))) throw broken("the parents of a link are out of order");
    before = parent;
  }
  if (reader.next !== 17) throw broken("a link is not an AuthorizedDevice");
  const inner = new Reader(reader.bytes(17));
  reader.end();
  const identity = inner.key(1);
  const device = inner.key(2);
  inner.key(3);
  inner.end();
  return { issuer, subject, expires, identity, device };
}

function isBefore(a: Bytes, b: Bytes): boolean {
  const index = a.findIndex((byte, at) => byte !== b[at]);
  return index >= 0 && (a[index] ?? 0) < (b[index] ?? 0);
}

const VARINT = 0n;
const LENGTH = 2n;

/** Reads protobuf fields that must come in a known order. */
class Reader {
  readonly #bytes: Bytes;
  #at = 0;

  constructor(bytes: Bytes) {
    this.#bytes = bytes;
  }

  /** The number of the next field; 0 at the end. */
  get next(): number {
    if (this.#at === this.#bytes.length) return 0;
    const before = this.#at;
    const tag = this.#varint();
    this.#at = before;
    return Number(tag >> 3n);
  }

  number(field: number): bigint {
    this.#tag(field, VARINT);
    const value = this.#varint();
    if (value === 0n && field !== 5) throw broken("a link writes a default");
    return value;
  }

  bytes(field: number): Bytes {
    this.#tag(field, LENGTH);
    const length = Number(this.#varint());
    const end = this.#at + length;
    if (end > this.#bytes.length) throw broken("a link is cut off");
    const bytes = this.#bytes.slice(this.#at, end);
    this.#at = end;
    return bytes;
  }

  key(field: number): Bytes {
    const bytes = this.bytes(field);
    if (bytes.length !== 32) throw broken("a key in a link has not 32 bytes");
    return bytes;
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw broken("a link says more than is known");
  }

  #tag(field: number, wireType: bigint): void {
    if (this.#varint() !== (BigInt(field) << 3n) + wireType) throw broken(`field ${field} of a link is not where it belongs`);
  }

  #varint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#bytes[this.#at];
      if (byte === undefined) throw broken("a link is cut off");
      this.#at += 1;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) {
        if (byte === 0 && shift > 0n) throw broken("a number in a link is longer than it need be");
        if (value >= 1n << 64n) break;
        return value;
      }
    }
    throw broken("a number in a link is too large");
  }
}

function broken(what: string): ProofError {
  return new ProofError("chain", what);
}
