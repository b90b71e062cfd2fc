/**
 * Sign in with HALO, from a program on the user's machine.
 *
 * @example
 * const halo = new HaloNative({ clientId: "org.example.notes", name: "Notes", storage: fileStorage("halo.json") });
 * const session = (await halo.session()) ?? (await halo.signIn({ onWords: (words) => console.log(words.join(" ")) }));
 */

import { Client, type ClientOptions, type SignInOptions } from "../core/client.js";
import type { Platform } from "../core/platform.js";
import type { Session } from "../core/session.js";
import { memoryStorage, type HaloStorage } from "../core/storage.js";
import { defaultProfile, discover, runtimeDir } from "./discover.js";
import { programDoor } from "./door.js";

export { HaloError, type HaloErrorCode } from "../core/errors.js";
export type { ClientEvents as HaloEvents } from "../core/client.js";
export { Session, type SessionState, type SignedOutReason, type UserInfo } from "../core/session.js";
export {
  Counter,
  Items,
  SharedText,
  Space,
  Spaces,
  type Comparison,
  type Data,
  type Expand,
  type ForeignKey,
  type Item,
  type ItemQuery,
  type ItemVersion,
  type Json,
  type LiveQuery,
  type Mark,
  type Modelled,
  type NewItem,
  type Side,
} from "../core/spaces.js";
export { memoryStorage, type HaloStorage, type Remembered } from "../core/storage.js";
export type { Words } from "../core/words.js";
export { fileStorage } from "./storage.js";

export interface HaloNativeOptions extends ClientOptions {
  /** The id of the program, for instance `org.example.notes`; the prompt shows its executable beside it. */
  clientId: string;
  /** Where the key and the session are kept; default: nowhere, so each run is a first contact. */
  storage?: HaloStorage;
  /** The wallet's profile; default: as HALO itself, `HALO_PROFILE` or the platform's data directory. */
  profile?: string;
}

/** What a program has to show the words with. */
export type NativeSignInOptions = SignInOptions & Required<Pick<SignInOptions, "onWords">>;

export class HaloNative extends Client {
  constructor(options: HaloNativeOptions) {
    super(programPlatform(options), options);
  }

  /** Signs in; the user answers in the HALO window. */
  signIn(options: NativeSignInOptions): Promise<Session> {
    return this.signInByBackChannel(options);
  }
}

function programPlatform(options: HaloNativeOptions): Platform {
  return {
    clientId: options.clientId,
    storage: options.storage ?? memoryStorage(),
    async *doors() {
      yield programDoor(await discover(await runtimeDir(options.profile ?? defaultProfile())));
    },
    // A program shows the words itself; the wait it may show as it likes.
    show: () => ({ read: Promise.resolve(), close: () => undefined }),
    onAwake: () => () => undefined,
    channel: () => ({ tell: () => undefined, close: () => undefined }),
  };
}
