/** A user who is signed in. */

import type { Reply } from "./door.js";
import type { StoredSession } from "./storage.js";

/**
 * `active`: the wallet answers and would tell at once if the session ended. `locked`: it waits for the user to unlock it.
 * `unreachable`: it does not run at the moment. `signed_out`: over. A session that is locked or unreachable comes back
 * by itself.
 */
export type SessionState = "active" | "locked" | "unreachable" | "signed_out";

/** Why a session ended: by the app, by the user in the wallet, by time, or since another wallet answers. */
export type SignedOutReason = "signed_out" | "revoked" | "expired" | "wallet_changed";

/** What the wallet tells about the user, as far as they share it. */
export interface UserInfo {
  sub: string;
  name?: string;
  picture?: string;
}

/** What a session needs of the client that made it. */
export interface SessionOwner {
  proof(nonce: string | undefined): Promise<string>;
  call(method: "GET" | "POST", path: string): Promise<Reply>;
  userInfo(): Promise<UserInfo>;
  signOut(): Promise<void>;
}

export class Session {
  readonly #owner: SessionOwner;
  #stored: StoredSession;
  #state: SessionState = "unreachable";

  /** @internal */
  constructor(owner: SessionOwner, stored: StoredSession) {
    this.#owner = owner;
    this.#stored = stored;
  }

  /**
   * Who this is, as a `did:key`: a private alias that only this app sees, or the identity where `identity` is true. The same
   * for ever for this user and app. A backend must not believe it from a page: send it a {@link proof}.
   */
  get subject(): string {
    return this.#stored.subject;
  }

  /** The display name, if the user shares it. */
  get name(): string | undefined {
    return this.#stored.name;
  }

  /** The picture as a `data:` URL, if the user shares it. */
  get picture(): string | undefined {
    return this.#stored.picture;
  }

  /** Whether `subject` is the real identity. */
  get identity(): boolean {
    return this.#stored.identity;
  }

  get state(): SessionState {
    return this.#state;
  }

  /**
   * A JWT for a backend, good for minutes, checked there by `verifyProof` of `@halo-wallet/sdk/verify` or any JOSE library.
   * Give the nonce that the backend made for this one sign-in.
   */
  proof(nonce?: string): Promise<string> {
    return this.#owner.proof(nonce);
  }

  /** Asks the wallet what it tells about the user now; the name may have changed. */
  userInfo(): Promise<UserInfo> {
    return this.#owner.userInfo();
  }

  /** Calls a path of the wallet, such as `/userinfo`, with the session's access token. */
  fetch(path: string, options: { method?: "GET" | "POST" } = {}): Promise<Reply> {
    return this.#owner.call(options.method ?? "GET", path);
  }

  /** Ends the session here and in the wallet. The grant stays: signing in again needs no approval. */
  signOut(): Promise<void> {
    return this.#owner.signOut();
  }

  /** @internal */
  _update(state: SessionState, stored?: StoredSession): void {
    this.#state = state;
    if (stored) this.#stored = stored;
  }
}
