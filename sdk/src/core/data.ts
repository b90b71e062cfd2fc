/**
 * The line for data: calls and watches over `WS /halo/data`, opened when it is first needed and again when it breaks.
 *
 * A call that was on its way when the line broke fails with `unreachable`: whether it was done is not known. A watch is
 * opened again by itself, and starts anew.
 */

import { Backoff } from "./clock.js";
import { objectOf, type Line, type LineEvents } from "./door.js";
import { HaloError, type HaloErrorCode } from "./errors.js";

/** What the wallet says a call failed of, and what that is to an app. */
const MEANING: Record<string, HaloErrorCode> = {
  "wallet.not_found": "not_found",
  "wallet.forbidden": "forbidden",
  "wallet.locked": "locked",
  "wallet.closed": "unreachable",
  busy: "busy",
};

/** Whether a wallet that said so, or said nothing, comes back by itself; everything else is over. */
export const comesBack = (error: unknown): boolean =>
  error instanceof HaloError && ["locked", "not_installed", "unreachable"].includes(error.code);

interface Waiting {
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

interface Watch {
  method: string;
  params: object;
  event(value: unknown): void;
  failed(error: HaloError): void;
  /** The number it has on the line that is open. */
  id: number | undefined;
}

/** A watch that is open. */
export interface Watching {
  /** Names it in calls; `undefined` while the line is down. */
  readonly id: number | undefined;
  stop(): void;
}

export class DataLine {
  readonly #open: (events: LineEvents) => Promise<Line>;
  readonly #backoff = new Backoff();
  readonly #waiting = new Map<number, Waiting>();
  readonly #watches = new Set<Watch>();
  readonly #listeners = new Set<(open: boolean) => void>();
  #line: Promise<Line> | undefined;
  #next = 1;
  #closed = false;

  constructor(open: (events: LineEvents) => Promise<Line>) {
    this.#open = open;
  }

  /** Calls a method; rejects with a `HaloError`. Parameters that depend on the line are made when it is open. */
  async call(method: string, params: object | (() => object) = {}): Promise<unknown> {
    const line = await this.#opened();
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      line.send(JSON.stringify({ id, method, params: typeof params === "function" ? (params as () => object)() : params }));
    });
  }

  /** Calls back when the line opens or breaks; returns how to stop that. */
  onLine(listener: (open: boolean) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** Watches something until it is stopped, also over lines that break; `failed` is called when it is over before. */
  watch(method: string, params: object, event: (value: unknown) => void, failed: (error: HaloError) => void): Watching {
    const watch: Watch = { method, params, event, failed, id: undefined };
    this.#watches.add(watch);
    this.#opened().then(
      (line) => { this.#begin(line, watch); },
      (error: unknown) => {
        if (!comesBack(error)) {
          this.#watches.delete(watch);
          failed(error instanceof HaloError ? error : new HaloError("unreachable", { cause: error }));
        }
      },
    );
    return {
      get id() {
        return watch.id;
      },
      stop: () => {
        this.#watches.delete(watch);
        const { id } = watch;
        if (id === undefined) return;
        this.#waiting.delete(id);
        void this.#line?.then((line) => { line.send(JSON.stringify({ method: "cancel", params: { id } })); }, () => undefined);
      },
    };
  }

  /** Ends the line, and all that waits. */
  close(): void {
    this.#closed = true;
    this.#watches.clear();
    this.#backoff.wake();
    void this.#line?.then((line) => { line.close(); }, () => undefined);
    this.#broke();
  }

  #opened(): Promise<Line> {
    if (this.#closed) return Promise.reject(new HaloError("signed_out"));
    this.#line ??= this.#open({
      text: (text) => { this.#heard(objectOf(text)); },
      closed: () => { this.#broke(); },
    }).then(
      (line) => {
        this.#backoff.reset();
        for (const listener of [...this.#listeners]) listener(true);
        for (const watch of this.#watches) if (watch.id === undefined) this.#begin(line, watch);
        return line;
      },
      (error: unknown) => {
        this.#line = undefined;
        this.#again();
        throw error instanceof HaloError ? error : new HaloError("unreachable", { cause: error });
      },
    );
    return this.#line;
  }

  #begin(line: Line, watch: Watch): void {
    if (watch.id !== undefined || !this.#watches.has(watch)) return;
    const id = this.#next++;
    watch.id = id;
    this.#waiting.set(id, {
      resolve: (value) => { watch.event(value); },
      reject: (error) => {
        if (this.#watches.has(watch) && comesBack(error)) {
          // A wallet that ends or locks may say so before the line breaks: the watch goes on over the next one.
          watch.id = undefined;
          line.close();
          return;
        }
        this.#watches.delete(watch);
        watch.failed(error as HaloError);
      },
    });
    line.send(JSON.stringify({ id, method: watch.method, params: watch.params }));
  }

  #heard(frame: Record<string, unknown>): void {
    const id = typeof frame.id === "number" ? frame.id : -1;
    const waiting = this.#waiting.get(id);
    if (!waiting) return;
    if ("event" in frame) {
      waiting.resolve(frame.event);
      return;
    }
    this.#waiting.delete(id);
    if ("result" in frame) waiting.resolve(frame.result);
    else waiting.reject(errorIn(frame.error));
  }

  #broke(): void {
    this.#line = undefined;
    const watching = new Set([...this.#watches].map(({ id }) => id));
    for (const [id, waiting] of this.#waiting) {
      if (!watching.has(id)) waiting.reject(new HaloError("unreachable"));
    }
    this.#waiting.clear();
    for (const watch of this.#watches) watch.id = undefined;
    for (const listener of [...this.#listeners]) listener(false);
    this.#again();
  }

  /** Somebody watches: the line is wanted again. */
  #again(): void {
    if (this.#closed || this.#watches.size === 0) return;
    void this.#backoff.wait().then(() => {
      if (!this.#closed && this.#watches.size > 0) this.#opened().catch(() => undefined);
    });
  }
}

function errorIn(error: unknown): HaloError {
  const { code, message } = (typeof error === "object" && error !== null ? error : {}) as Record<string, unknown>;
  const detail = typeof message === "string" ? message : "no reason";
  return new HaloError(MEANING[String(code)] ?? "refused", { detail });
}
