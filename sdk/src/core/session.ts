/** A user who is signed in. */

import { DataLine } from "./data.js";
import type { Line, LineEvents, Reply } from "./door.js";
import { Spaces } from "./spaces.js";
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
  openLine(path: string, events: LineEvents): Promise<Line>;
  ticket(): Promise<{ url: string; token: string }>;
}

export class Session {
  readonly #owner: SessionOwner;
  #stored: StoredSession;
  #state: SessionState = "unreachable";
  readonly #data: DataLine;
  #spaces: Spaces | undefined;

  /** @internal */
  constructor(owner: SessionOwner, stored: StoredSession) {
    this.#owner = owner;
    this.#stored = stored;
    this.#data = new DataLine((events) => owner.openLine("/halo/data", events));
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

  /** What this app keeps with the user. Needs the scope `halo:spaces`, and `halo:spaces:write` to write. */
  get spaces(): Spaces {
    this.#spaces ??= new Spaces(this.#data);
    return this.#spaces;
  }

  /** @internal The line that adapters share. */
  get _data(): DataLine {
    return this.#data;
  }

  /** @internal Where DXOS's services are, and a token that opens them once. */
  _ticket(): Promise<{ url: string; token: string }> {
    return this.#owner.ticket();
  }

  /** Ends the session here and in the wallet. The grant stays: signing in again needs no approval. */
  signOut(): Promise<void> {
    return this.#owner.signOut();
  }

  /** @internal */
  _update(state: SessionState, stored?: StoredSession): void {
    this.#state = state;
    if (state === "signed_out") this.#data.close();
    if (stored) this.#stored = stored;
  }
}
