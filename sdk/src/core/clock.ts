/** Waiting that can be cut short. */

import { HaloError } from "./errors.js";

/** Waits; an aborted signal rejects with `cancelled`. */
export function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const cancel = () => {
      clearTimeout(timer);
      reject(new HaloError("cancelled"));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", cancel);
      resolve();
    }, milliseconds);
    if (signal?.aborted) cancel();
    else signal?.addEventListener("abort", cancel, { once: true });
  });
}

/** A pause that `wake` ends early: the next attempt of something that failed. */
export class Backoff {
  #failures = 0;
  #wake: (() => void) | undefined;

  constructor(
    private readonly first = 500,
    private readonly longest = 30_000,
  ) {}

  /** It worked: the next pause is short again. */
  reset(): void {
    this.#failures = 0;
  }

  wake(): void {
    this.#wake?.();
  }

  async wait(): Promise<void> {
    const full = Math.min(this.longest, this.first * 2 ** this.#failures);
    this.#failures += 1;
    await new Promise<void>((resolve) => {
      // Spread over half the time, so that many tabs do not come at once.
      const timer = setTimeout(resolve, full * (0.5 + Math.random() / 2));
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = undefined;
  }
}
