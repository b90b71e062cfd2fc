/**
 * Sign in with HALO, from a page.
 *
 * @example
 * const halo = new Halo({ name: "Hello" });
 * const session = (await halo.session()) ?? (await halo.signIn({ nonce }));
 */

import { Client, type ClientOptions, type SignInOptions } from "../core/client.js";
import type { Platform } from "../core/platform.js";
import type { Session } from "../core/session.js";
import type { HaloStorage } from "../core/storage.js";
import { showNotice, showPermissionHint } from "./dialog.js";
import { findDoors, PORTS } from "./find.js";
import { requireUsablePage } from "./permission.js";
import { pageStorage } from "./storage.js";

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

export interface HaloOptions extends ClientOptions {
  /** Where the key and the session are kept; default: IndexedDB of this origin. */
  storage?: HaloStorage;
  /** Where to look for HALO; default: its five ports. */
  ports?: readonly number[];
}

export interface PageSignInOptions extends SignInOptions {
  /**
   * `back-channel` (default): the page stays, the user answers in the HALO window. `redirect`: the browser goes to the
   * wallet's page and comes back; call {@link Halo.completeRedirect} there.
   */
  mode?: "back-channel" | "redirect";
  /** Where to come back to, on this origin; default: this page without its query. */
  redirectUri?: string;
}

/** One a page. */
export class Halo extends Client {
  constructor(options: HaloOptions) {
    super(pagePlatform(options), options);
  }

  /** Signs in. Call it from a click: the browser may ask whether this page may reach programs on this device. */
  async signIn(options: PageSignInOptions = {}): Promise<Session> {
    requireUsablePage();
    if (options.mode !== "redirect") return this.signInByBackChannel(options);
    const here = location.origin + location.pathname;
    location.assign(await this.prepareRedirect(options.redirectUri ?? here, options));
    // The page is left; nobody comes back to this promise.
    return new Promise<never>(() => undefined);
  }

  /** Finishes a sign-in by redirect, if this page was loaded by one; else `undefined`. */
  async completeRedirect(): Promise<Session | undefined> {
    const url = new URL(location.href);
    const answer = new URLSearchParams(url.search);
    if (!answer.has("state") || !(answer.has("code") || answer.has("error"))) return undefined;
    // A code is not left in the address: it would be in the history, and a reload would use it twice.
    for (const name of ["code", "state", "iss", "error", "error_description"]) url.searchParams.delete(name);
    history.replaceState(history.state, "", url);
    return this.finishRedirect(answer);
  }

  override session(): Promise<Session | undefined> {
    requireUsablePage();
    return super.session();
  }
}

function pagePlatform(options: HaloOptions): Platform {
  return {
    clientId: location.origin,
    storage: options.storage ?? pageStorage(),
    doors: (asked, first) =>
      findDoors({ ports: options.ports ?? PORTS, asked, first, explain: () => showPermissionHint(options.name) }),
    show: (notice) => showNotice(options.name, notice),
    onAwake(callback) {
      const seen = () => {
        if (document.visibilityState === "visible") callback();
      };
      document.addEventListener("visibilitychange", seen);
      window.addEventListener("online", callback);
      window.addEventListener("focus", callback);
      return () => {
        document.removeEventListener("visibilitychange", seen);
        window.removeEventListener("online", callback);
        window.removeEventListener("focus", callback);
      };
    },
    channel(ended) {
      const channel = new BroadcastChannel("halo:signed-out");
      channel.onmessage = ended;
      return {
        tell: () => { channel.postMessage(null); },
        close: () => { channel.close(); },
      };
    },
  };
}
