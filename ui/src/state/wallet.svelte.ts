// The wallet as the window knows it: the last snapshot, and what is under way.

import { failure, type Failure, type Port, type Snapshot } from '../ipc/port';

export class WalletState {
  /** Nothing until the first snapshot has come. */
  snapshot = $state<Snapshot>();
  readonly port: Port;
  /** What is to be said of the screen once the wallet has heard the last thing; nothing if nothing is. */
  #next: string | null | undefined;
  #saying = false;

  constructor(port: Port) {
    this.port = port;
  }

  /** Subscribes first and looks then, so that nothing falls between. */
  async start(): Promise<void> {
    await this.port.onSnapshot((snapshot) => (this.snapshot = snapshot));
    this.snapshot ??= await this.port.snapshot();
  }

  /** A space is on screen, as long as the window is; answers how to say that it is not any more. */
  looksAt(space: string): () => void {
    const look = () => void this.#say(document.hidden ? null : space);
    look();
    document.addEventListener('visibilitychange', look);
    return () => {
      document.removeEventListener('visibilitychange', look);
      void this.#say(null);
    };
  }

  /** One thing after the other: of two on their way at once the first could arrive last, and leave nothing on screen. */
  async #say(space: string | null): Promise<void> {
    this.#next = space;
    if (this.#saying) return;
    this.#saying = true;
    while (this.#next !== undefined) {
      const next = this.#next;
      this.#next = undefined;
      // It is about which things come first: where it fails there is nothing that a person could do.
      await this.port.lookAtSpace(next).catch(() => undefined);
    }
    this.#saying = false;
  }
}

/** Something the user started: whether it runs, and how it failed. */
export class Task {
  running = $state(false);
  failed = $state<Failure>();

  /** Runs one thing at a time; answers whether it worked. */
  async run(work: () => Promise<unknown>): Promise<boolean> {
    if (this.running) return false;
    this.running = true;
    this.failed = undefined;
    try {
      await work();
      return true;
    } catch (thrown) {
      this.failed = failure(thrown);
      return false;
    } finally {
      this.running = false;
    }
  }
}
