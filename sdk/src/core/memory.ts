/** What the app remembers, changed one change at a time. */

import { HaloError } from "./errors.js";
import { instanceOf, makeKeys, type Instance } from "./instance.js";
import type { HaloStorage, Remembered } from "./storage.js";

export class Memory {
  readonly #storage: HaloStorage;

  constructor(storage: HaloStorage) {
    this.#storage = storage;
  }

  /** What is remembered; the first time, an instance key is made. */
  async recall(): Promise<Remembered> {
    return (
      (await this.#storage.load()) ??
      this.#storage.exclusive(async () => {
        const there = await this.#storage.load();
        if (there) return there;
        const made: Remembered = { version: 1, keys: await makeKeys(this.#storage.exportable ?? false) };
        await this.#storage.save(made);
        return made;
      })
    );
  }

  async instance(): Promise<Instance> {
    return instanceOf((await this.recall()).keys);
  }

  async change(change: (remembered: Remembered) => void): Promise<void> {
    await this.recall();
    await this.#storage.exclusive(async () => {
      const remembered = await this.#storage.load();
      if (!remembered) throw new HaloError("signed_out");
      const next = { ...remembered, ...(remembered.session ? { session: { ...remembered.session } } : {}) };
      change(next);
      await this.#storage.save(next);
    });
  }

  /** The session is over; key and wallet stay, so that the next sign-in needs no words. */
  dropSession(): Promise<void> {
    return this.change((remembered) => {
      delete remembered.session;
    });
  }
}
