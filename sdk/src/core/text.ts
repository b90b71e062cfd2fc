/**
 * A text that several people write at once.
 *
 * What is typed shows at once. It is sent as one splice of the version that the wallet last told, one splice at a time;
 * what others wrote meanwhile comes back with the answer, and what was typed meanwhile is moved over it. The wallet
 * merges (Automerge), so nobody's letters are lost.
 */

import type { DataLine, Watching } from "./data.js";
import { HaloError } from "./errors.js";
import type { Step } from "./spaces.js";

interface Where {
  space: string;
  id: string;
  property: string;
}

/** A text and the version it is. */
interface Told {
  text: string;
  version: string[];
}

/** @internal `remove` UTF-16 code units go at a position, and a text comes. */
export interface Splice {
  position: number;
  remove: number;
  insert: string;
}

const isHigh = (unit: number) => unit >= 0xd800 && unit <= 0xdbff;
const isLow = (unit: number) => unit >= 0xdc00 && unit <= 0xdfff;

/** @internal The smallest splice that makes one text another; never between the halves of a letter. */
export function difference(from: string, to: string): Splice {
  let start = 0;
  while (start < from.length && start < to.length && from[start] === to[start]) start += 1;
  if (start > 0 && isHigh(from.charCodeAt(start - 1))) start -= 1;
  let end = 0;
  while (end < from.length - start && end < to.length - start && from.at(-1 - end) === to.at(-1 - end)) end += 1;
  if (end > 0 && isLow(from.charCodeAt(from.length - end))) end -= 1;
  return { position: start, remove: from.length - start - end, insert: to.slice(start, to.length - end) };
}

const apply = (text: string, { position, remove, insert }: Splice) => text.slice(0, position) + insert + text.slice(position + remove);
const isNothing = ({ remove, insert }: Splice) => remove === 0 && insert === "";

/** @internal The splice that does to a text after `over` what `splice` does to it before. */
export function moved(splice: Splice, over: Splice): Splice {
  const shift = over.insert.length - over.remove;
  const end = splice.position + splice.remove;
  const overEnd = over.position + over.remove;
  if (splice.position >= overEnd && (over.remove > 0 || splice.position > over.position || splice.remove > 0)) {
    return { ...splice, position: splice.position + shift };
  }
  if (end <= over.position) return splice;
  // They overlap: what is gone already is not removed again, and what came is left.
  const before = Math.max(0, over.position - splice.position);
  const after = Math.max(0, end - overEnd);
  if (before > 0) return { position: splice.position, remove: before, insert: splice.insert };
  return { position: over.position + over.insert.length, remove: after, insert: splice.insert };
}

/** A text of an item, as it is shown and edited. */
export class SharedText {
  readonly #line: DataLine;
  readonly #where: Where;
  readonly #did: (step: Step) => void;
  readonly #listeners = new Set<(text: string) => void>();
  #told: Told = { text: "", version: [] };
  /** With what was typed here and is not told yet. */
  #local = "";
  #watching: Watching | undefined;
  #working: Promise<void> | undefined;
  #stale = false;

  /** @internal */
  constructor(line: DataLine, where: Where, did: (step: Step) => void) {
    this.#line = line;
    this.#where = where;
    this.#did = did;
  }

  /** @internal */
  async _begin(): Promise<void> {
    this.#told = (await this.#line.call("items.text", this.#where)) as Told;
    this.#local = this.#told.text;
    const query = { type: "select", filter: { type: "object", typename: null, props: {}, id: [this.#where.id] } };
    const changed = () => {
      this.#stale = true;
      this.#work().catch(() => undefined);
    };
    this.#watching = this.#line.watch("items.watch", { space: this.#where.space, query }, changed, () => undefined);
  }

  /** What it says now, with what was typed here. */
  get value(): string {
    return this.#local;
  }

  /** Calls back when somebody else made it say something else; returns how to stop that. */
  onChange(listener: (text: string) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** Removes `remove` UTF-16 code units at a position and puts a text in their place. Resolves when that is kept. */
  splice(position: number, remove: number, insert: string): Promise<void> {
    if (position < 0 || remove < 0 || position + remove > this.#local.length) {
      return Promise.reject(new RangeError("the place is not in the text"));
    }
    return this.set(apply(this.#local, { position, remove, insert }));
  }

  /** Makes it say something else by the smallest splice: for a field that tells only its whole value. Resolves when that is kept. */
  set(text: string): Promise<void> {
    this.#local = text;
    return this.#work();
  }

  close(): void {
    this.#watching?.stop();
    this.#listeners.clear();
  }

  /** Tells and asks until both sides have the same. One at a time; who comes meanwhile waits for the same end. */
  #work(): Promise<void> {
    this.#working ??= this.#settle().finally(() => {
      this.#working = undefined;
    });
    return this.#working;
  }

  async #settle(): Promise<void> {
    for (;;) {
      const splice = difference(this.#told.text, this.#local);
      if (!isNothing(splice)) await this.#tell(splice);
      else if (this.#stale) {
        this.#stale = false;
        this.#take((await this.#line.call("items.text", this.#where)) as Told, this.#told.text);
      } else return;
    }
  }

  async #tell(splice: Splice): Promise<void> {
    const { text, version } = this.#told;
    const sent = apply(text, splice);
    try {
      this.#take((await this.#line.call("items.splice", { ...this.#where, version, ...splice })) as Told, sent);
    } catch (error) {
      // The line comes back and the watch says so; whatever else it is, what was typed cannot be kept.
      const lost = error instanceof HaloError && (error.code === "unreachable" || error.code === "locked" || error.code === "not_installed");
      if (!lost) this.#show(text);
      throw error;
    }
    this.#did(this.#step(splice, text.slice(splice.position, splice.position + splice.remove)));
  }

  /** Takes what the wallet tells, which would be `expected` if nobody else had written. */
  #take(told: Told, expected: string): void {
    const typed = difference(expected, this.#local);
    this.#told = told;
    const others = difference(expected, told.text);
    this.#show(isNothing(typed) ? told.text : apply(told.text, moved(typed, others)));
  }

  #show(text: string): void {
    if (text === this.#local) return;
    this.#local = text;
    for (const listener of [...this.#listeners]) listener(text);
  }

  #step({ position, insert }: Splice, removed: string): Step {
    const replace = (old: string, by: string) => {
      // Others may have moved it.
      const near = this.#local.startsWith(old, position) ? position : this.#local.indexOf(old);
      if (near === -1) return Promise.resolve();
      this.#show(apply(this.#local, { position: near, remove: old.length, insert: by }));
      return this.#quietly();
    };
    return { undo: () => replace(insert, removed), redo: () => replace(removed, insert) };
  }

  /** Settles without making a step of it that could be undone. */
  async #quietly(): Promise<void> {
    await this.#working?.catch(() => undefined);
    const splice = difference(this.#told.text, this.#local);
    if (isNothing(splice)) return;
    const sent = apply(this.#told.text, splice);
    const told = await this.#line.call("items.splice", { ...this.#where, version: this.#told.version, ...splice });
    this.#take(told as Told, sent);
  }
}
