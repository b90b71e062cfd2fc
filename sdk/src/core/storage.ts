/** What an app remembers between two visits. */

export interface StoredSession {
  refreshToken: string;
  accessToken: string;
  /** Milliseconds since the epoch. */
  accessExpires: number;
  subject: string;
  identity: boolean;
  scope: string;
  name?: string;
  picture?: string;
}

/** A sign-in that left for the wallet's page and has not come back yet. */
export interface StoredRedirect {
  issuer: string;
  state: string;
  nonce: string;
  verifier: string;
  redirectUri: string;
  /** First contact: what the wallet committed to before the words were shown. */
  walletCommitment?: string;
}

export interface Remembered {
  version: 1;
  /** The instance key. */
  keys: CryptoKeyPair;
  /** `x` of the wallet's Ed25519 key for this app, pinned at first contact. */
  wallet?: string;
  /** Where the wallet answered last: asked first next time. */
  issuer?: string;
  session?: StoredSession;
  redirect?: StoredRedirect;
}

/** Where it is remembered. Values are structured-clonable: key pairs are kept as `CryptoKey` objects. */
export interface HaloStorage {
  /** Whether keys must be readable to be kept; leave it out where `CryptoKey` objects themselves can be stored. */
  readonly exportable?: boolean;
  load(): Promise<Remembered | undefined>;
  save(remembered: Remembered | undefined): Promise<void>;
  /**
   * Runs one piece of work at a time, over all tabs and processes that share this storage: a refresh token used
   * twice ends the session.
   */
  exclusive<T>(work: () => Promise<T>): Promise<T>;
}

/** Runs pieces of work one after the other. */
export function queue(): <T>(work: () => Promise<T>) => Promise<T> {
  let tail: Promise<unknown> = Promise.resolve();
  return (work) => {
    const mine = tail.then(work, work);
    tail = mine.catch(() => undefined);
    return mine;
  };
}

/** Remembers nothing past the end of the process. */
export function memoryStorage(): HaloStorage {
  let remembered: Remembered | undefined;
  return {
    load: () => Promise.resolve(remembered),
    save(next) {
      remembered = next;
      return Promise.resolve();
    },
    exclusive: queue(),
  };
}
