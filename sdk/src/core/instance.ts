/**
 * The key of this installation of the app, and DPoP proofs by it (RFC 9449).
 *
 * In a browser the private half can be used but not read, not even by the page itself: a copied token or a copied storage
 * is worth nothing elsewhere.
 */

import { calculateJwkThumbprint, exportJWK, SignJWT, type JWK } from "jose";

import { randomText, sha256, toBase64Url, utf8 } from "./encoding.js";

export interface Instance {
  readonly keys: CryptoKeyPair;
  readonly jwk: JWK;
  /** RFC 7638 thumbprint: the name by which the wallet knows this installation. */
  readonly thumbprint: string;
}

export async function makeKeys(exportable: boolean): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, exportable, ["sign", "verify"]);
}

export async function instanceOf(keys: CryptoKeyPair): Promise<Instance> {
  const { kty, crv, x, y } = await exportJWK(keys.publicKey);
  const jwk = { kty, crv, x, y } as JWK;
  return { keys, jwk, thumbprint: await calculateJwkThumbprint(jwk) };
}

/** A proof for one method and one address, used once; `token` is the access token sent along. */
export async function dpop(instance: Instance, method: string, url: string, token?: string): Promise<string> {
  const claims: Record<string, unknown> = { jti: randomText(), htm: method, htu: url };
  if (token !== undefined) claims.ath = toBase64Url(await sha256(utf8(token)));
  return new SignJWT(claims)
    .setProtectedHeader({ typ: "dpop+jwt", alg: "ES256", jwk: instance.jwk })
    .setIssuedAt()
    .sign(instance.keys.privateKey);
}
