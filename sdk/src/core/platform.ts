/** What differs between a page and a program. */

import type { Door } from "./door.js";
import type { HaloStorage } from "./storage.js";
import type { Words } from "./words.js";

/** How the words, or the wait for an approval, are shown. */
export interface Notice {
  /** The three words of a first contact; `undefined` where there is nothing to compare. */
  words: Words | undefined;
  /** The page is about to be left for the wallet's own: resolves when the user has read the words. */
  leaving: boolean;
  /** Ends the sign-in. */
  cancel: () => void;
}

export interface Shown {
  /** Resolves when the user wants to go on; only waited for where the page is `leaving`. */
  read: Promise<void>;
  close(): void;
}

export interface Platform {
  /** The origin of a page, or the id of a program. */
  readonly clientId: string;
  readonly storage: HaloStorage;
  /**
   * Wallets that answer, one after the other, starting with `first`; throws if there are none or asking is
   * impossible here. `asked` says that a user's click led here, so that the browser may ask the user.
   */
  doors(asked: boolean, first: string | undefined): AsyncIterable<Door>;
  show(notice: Notice): Shown;
  /** Calls back when it is worth trying again: the page is looked at, the machine woke up. */
  onAwake(callback: () => void): () => void;
  /** Tells other tabs of this app that the session is over, and hears from them. */
  channel(ended: () => void): { tell(): void; close(): void };
}
