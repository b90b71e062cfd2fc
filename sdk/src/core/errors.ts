/**
 * What can go wrong, in pairs: what happened, and what to do about it.
 *
 * An app decides by `code` and may show `message` and `next` to its user as they are. Neither ever contains a token.
 */

const SENTENCES = {
  not_installed: [
    "HALO does not answer on this computer.",
    "Start HALO, or install it, and try again.",
  ],
  locked: ["HALO is locked.", "Unlock HALO and try again."],
  no_identity: ["There is no identity in HALO yet.", "Open HALO, create your identity, and try again."],
  denied: ["The request was denied in HALO.", "Nothing was shared. Try again if this was not what you wanted."],
  muted: [
    "HALO does not show requests of this app at the moment, since it was told no several times.",
    "Wait some minutes before you try again.",
  ],
  expired: ["Nobody answered the request in HALO in time.", "Try again, and answer in the HALO window."],
  blocked_by_browser: [
    "The browser does not let this page talk to apps on this computer.",
    "Click the icon left of the address, allow access to apps on this device (local network), and try again.",
  ],
  insecure_page: [
    "This page was not loaded over a secure connection.",
    "Open the page with https:// (or from localhost during development).",
  ],
  in_iframe: [
    "This page is shown inside another page, where HALO cannot be asked.",
    "Open the page in a tab of its own.",
  ],
  unsupported: [
    "This browser cannot keep the key that signing in with HALO needs.",
    "Use a current browser, and not a private window that forbids storage.",
  ],
  wallet_changed: [
    "Another wallet answers than the one this app knows.",
    "If you set HALO up anew, forget the old wallet in this app and sign in again. If not, another program may be posing as HALO.",
  ],
  words_mismatch: [
    "This page and HALO did not agree on the three words.",
    "Try again and compare all three. If it happens again, another program stands between this page and HALO.",
  ],
  signed_out: ["The session is over.", "Sign in again."],
  cancelled: ["Signing in was cancelled.", "Try again whenever you like."],
  busy: ["HALO has too much to do at the moment.", "Wait a few seconds and try again."],
  unreachable: [
    "The connection to HALO was lost.",
    "Nothing is needed: it comes back by itself when HALO runs. What was being written may or may not be there.",
  ],
  not_found: ["There is no such space or item, or this app may not see it.", "Look for it in HALO, under Spaces."],
  forbidden: ["This app may not do that.", "Sign in again with the scope it needs, and allow it in HALO."],
  refused: ["HALO refuses what this app asks for.", "This is for the developer of the app: the cause names the reason."],
  protocol: [
    "HALO answered something that this app does not understand.",
    "Update HALO and reload the page.",
  ],
} as const satisfies Record<string, readonly [string, string]>;

/** The stable name of what went wrong. */
export type HaloErrorCode = keyof typeof SENTENCES;

/** Everything the SDK throws. */
export class HaloError extends Error {
  override readonly name = "HaloError";
  /** What to decide by. */
  readonly code: HaloErrorCode;
  /** What the user can do now. */
  readonly next: string;

  constructor(code: HaloErrorCode, options: { detail?: string; next?: string; cause?: unknown } = {}) {
    const [message, next] = SENTENCES[code];
    super(message, options.detail === undefined ? { cause: options.cause } : { cause: new Error(options.detail) });
    this.code = code;
    this.next = options.next ?? next;
  }
}

/** An answer of another form than the protocol says. */
export function protocolError(detail: string): HaloError {
  return new HaloError("protocol", { detail });
}
