/** What the wallet's answers mean: errors, and tokens that are checked before anybody sees them. */

import { decodeJwt, decodeProtectedHeader, importJWK, jwtVerify, type JWTPayload } from "jose";

import { walletJwk } from "./contact.js";
import type { Reply } from "./door.js";
import { HaloError, protocolError, type HaloErrorCode } from "./errors.js";

/** Codes of the wallet that mean something to a user; everything else is for developers. */
const MEANING: Record<string, HaloErrorCode> = {
  locked: "locked",
  no_identity: "no_identity",
  access_denied: "denied",
  expired_token: "expired",
  invalid_grant: "signed_out",
  invalid_token: "signed_out",
  too_many_requests: "busy",
  temporarily_unavailable: "busy",
  slow_down: "busy",
};

export function oauthError(reply: Reply): string | undefined {
  const error = reply.body.error;
  return typeof error === "string" ? error : undefined;
}

/** The error an answer stands for. */
export function errorOf(reply: Reply): HaloError {
  return errorNamed(oauthError(reply), reply.body.error_description, reply.status);
}

export function errorNamed(error: string | undefined, description: unknown, status?: number): HaloError {
  const words = typeof description === "string" ? description : "";
  const detail = [error ?? `status ${status ?? 0}`, words].filter(Boolean).join(": ");
  if (error === undefined) return protocolError(detail);
  if (error === "access_denied" && /mute|several times|too often/i.test(words)) return new HaloError("muted", { detail });
  if (error === "access_denied" && /word/i.test(words)) return new HaloError("words_mismatch", { detail });
  if (error === "access_denied" && /in time|expired/i.test(words)) return new HaloError("expired", { detail });
  if (error === "access_denied" && /locked/i.test(words)) return new HaloError("locked", { detail });
  return new HaloError(MEANING[error] ?? "refused", { detail });
}

/** Tokens whose ID token was verified with the wallet's key. */
export interface Tokens {
  accessToken: string;
  accessExpires: number;
  refreshToken: string;
  proof: string;
  subject: string;
  identity: boolean;
  scope: string;
  name?: string;
}

export interface Expected {
  issuer: string;
  clientId: string;
  /** `x` of the wallet's key. */
  wallet: string;
  /** Must be in ID token and proof, if given. */
  nonce?: string | undefined;
}

/** Reads a token answer. The signature is checked with the pinned key, never with one that came along. */
export async function readTokens(body: Record<string, unknown>, expected: Expected): Promise<Tokens> {
  const { access_token, refresh_token, id_token, proof, expires_in, scope } = body;
  if (
    typeof access_token !== "string" ||
    typeof refresh_token !== "string" ||
    typeof id_token !== "string" ||
    typeof proof !== "string"
  ) {
    throw protocolError("tokens are missing from the answer");
  }
  const claims = await walletJwt(id_token, expected, "JWT");
  const proven = readJwt(proof);
  if (typeof claims.sub !== "string" || proven.sub !== claims.sub || proven.aud !== expected.clientId) {
    throw protocolError("ID token and proof speak of different subjects or apps");
  }
  if (expected.nonce !== undefined && (claims.nonce !== expected.nonce || proven.nonce !== expected.nonce)) {
    throw protocolError("the nonce did not come back");
  }
  const granted = typeof scope === "string" ? scope : "";
  const seconds = typeof expires_in === "number" ? expires_in : 60;
  return {
    accessToken: access_token,
    accessExpires: Date.now() + seconds * 1000,
    refreshToken: refresh_token,
    proof,
    subject: claims.sub,
    identity: decodeProtectedHeader(proof).halo_chain !== undefined,
    scope: granted,
    ...(typeof claims.name === "string" ? { name: claims.name } : {}),
  };
}

/** Verifies a JWT by the wallet's key for this app; any other key is another wallet. */
export async function walletJwt(jwt: string, expected: Expected, typ: string): Promise<JWTPayload> {
  const key = await importJWK(walletJwk(expected.wallet), "EdDSA");
  try {
    const { payload } = await jwtVerify(jwt, key, {
      algorithms: ["EdDSA"],
      typ,
      issuer: expected.issuer,
      audience: expected.clientId,
      clockTolerance: 5,
    });
    return payload;
  } catch (cause) {
    throw new HaloError("wallet_changed", { cause });
  }
}

export function readJwt(jwt: string): JWTPayload {
  try {
    return decodeJwt(jwt);
  } catch (cause) {
    throw new HaloError("protocol", { cause });
  }
}
