/**
 * The open line to the wallet, by which a page hears of revocation and lock at once.
 *
 * When the line breaks, or the wallet locks or ends, it is opened again with growing pauses until the session is over.
 */

import { Backoff } from "./clock.js";
import type { Line, LineEvents } from "./door.js";
import { objectOf } from "./door.js";
import { HaloError } from "./errors.js";
import type { SessionState, SignedOutReason } from "./session.js";

/** A line that says nothing for so long after it was opened is of no use. */
const READY_WITHIN = 10_000;

export interface LiveOptions {
  /** Finds the wallet, opens the line and says who we are. */
  open(events: LineEvents): Promise<Line>;
  /** The access token was not taken: the next line needs a fresh one. */
  stale(): void;
  state(state: SessionState): void;
  over(reason: SignedOutReason): void;
  onAwake(callback: () => void): () => void;
}

type End = "revoked" | "locked" | "stale" | "closed";

export class Live {
  readonly #options: LiveOptions;
  readonly #backoff = new Backoff();
  readonly #forgetAwake: () => void;
  #line: Line | undefined;
  #stopped = false;
  /** The last line ended since its token was not taken (any more). */
  #renewing = false;

  constructor(options: LiveOptions) {
    this.#options = options;
    this.#forgetAwake = options.onAwake(() => {
      this.#backoff.wake();
    });
    void this.#run();
  }

  stop(): void {
    this.#stopped = true;
    this.#forgetAwake();
    this.#line?.close();
    this.#backoff.wake();
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      try {
        const end = await this.#listen();
        if (this.#isStopped()) return;
        if (end === "revoked") {
          this.#options.over("revoked");
          return;
        }
        if (end === "stale") {
          this.#options.stale();
          // At once, but only once: a wallet that refuses fresh tokens, too, is asked more slowly.
          if (!this.#renewing) {
            this.#renewing = true;
            continue;
          }
        }
        this.#options.state(end === "locked" ? "locked" : "unreachable");
      } catch (error) {
        if (this.#isStopped()) return;
        const code = error instanceof HaloError ? error.code : "protocol";
        if (code === "signed_out" || code === "wallet_changed") {
          this.#options.over(code === "signed_out" ? "expired" : code);
          return;
        }
        this.#options.state(code === "locked" ? "locked" : "unreachable");
      }
      await this.#backoff.wait();
    }
  }

  // A method, since the compiler would otherwise believe that nothing changes while we wait.
  #isStopped(): boolean {
    return this.#stopped;
  }

  /** Holds one line until it ends. */
  async #listen(): Promise<End> {
    let end: (how: End) => void = () => undefined;
    const ended = new Promise<End>((resolve) => {
      end = resolve;
    });
    const late = setTimeout(() => {
      this.#line?.close();
      end("closed");
    }, READY_WITHIN);
    try {
      this.#line = await this.#options.open({
        text: (text) => {
          const type = objectOf(text).type;
          if (type === "ready") {
            clearTimeout(late);
            this.#renewing = false;
            this.#backoff.reset();
            this.#options.state("active");
          }
          if (type === "revoked" || type === "locked") end(type);
          // It is over, or of before the wallet was locked or restarted, which makes it forget access tokens.
          if (type === "expired" || type === "invalid_token") end("stale");
        },
        closed: () => {
          end("closed");
        },
      });
      return await ended;
    } finally {
      clearTimeout(late);
      this.#line?.close();
      this.#line = undefined;
    }
  }
}
