/**
 * Why a proof does not hold: not a proof at all, for another app, for another sign-in, at another time, signed by somebody else,
 * or by a device that does not speak for the identity.
 */
export type ProofErrorCode = "form" | "audience" | "nonce" | "expired" | "signature" | "chain";

export class ProofError extends Error {
  override readonly name = "ProofError";

  constructor(
    readonly code: ProofErrorCode,
    message: string,
    options?: { cause: unknown },
  ) {
    super(message, options);
  }
}
