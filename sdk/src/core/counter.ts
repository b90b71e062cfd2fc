/**
 * A number that several people add to: votes, stock, points. What is kept are the additions, so that two at once both
 * count; written as a plain property, the last writer's would.
 */

import type { DataLine, Watching } from "./data.js";
import type { Step } from "./spaces.js";

interface Where {
  space: string;
  id: string;
  property: string;
}

export class Counter {
  readonly #line: DataLine;
  readonly #where: Where;
  readonly #did: (step: Step) => void;
  readonly #listeners = new Set<(value: number) => void>();
  #value = 0;
  #watching: Watching | undefined;

  /** @internal */
  constructor(line: DataLine, where: Where, did: (step: Step) => void) {
    this.#line = line;
    this.#where = where;
    this.#did = did;
  }

  /** @internal */
  async _begin(): Promise<void> {
    await this.#ask();
    const query = { type: "select", filter: { type: "object", typename: null, props: {}, id: [this.#where.id] } };
    const changed = () => {
      this.#ask().catch(() => undefined);
    };
    this.#watching = this.#line.watch("items.watch", { space: this.#where.space, query }, changed, () => undefined);
  }

  get value(): number {
    return this.#value;
  }

  /** Adds; less than nothing takes away. Gives what it is then, on the user's disk. */
  async increment(by = 1): Promise<number> {
    const value = await this.#add(by);
    this.#did({ undo: () => this.#add(-by), redo: () => this.#add(by) });
    return value;
  }

  /** Calls back when it is something else; returns how to stop that. */
  onChange(listener: (value: number) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  close(): void {
    this.#watching?.stop();
    this.#listeners.clear();
  }

  async #add(by: number): Promise<number> {
    return this.#show(await this.#line.call("items.edit", { ...this.#where, model: "counter", edit: { increment: by } }));
  }

  async #ask(): Promise<number> {
    return this.#show(await this.#line.call("items.read", { ...this.#where, model: "counter" }));
  }

  #show(told: unknown): number {
    const { value } = told as { value: number };
    if (value !== this.#value) {
      this.#value = value;
      for (const listener of [...this.#listeners]) listener(value);
    }
    return value;
  }
}
