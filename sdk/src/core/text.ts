/**
 * A text that several people write at once.
 *
 * What is typed shows at once. It is sent as one splice of the version that the wallet last told, one splice at a time;
 * what others wrote meanwhile comes back with the answer, and what was typed meanwhile is moved over it. The wallet
 * merges (Automerge), so nobody's letters are lost.
 */

import { comesBack, type DataLine, type Watching } from "./data.js";
import type { Step } from "./spaces.js";

interface Where {
  space: string;
  id: string;
  property: string;
}

/** A part of a text that is marked: bold, a link, a comment. */
export interface Mark {
  start: number;
  /** The first code unit that it does not cover. */
  end: number;
  name: string;
  value: string | number | boolean;
}

/** Whether what is written at an edge of a mark is covered by it: `after`, as bold letters are, or `none`, as links are. */
export type Expand = "before" | "after" | "both" | "none";

/** Where a cursor goes when its letter does. */
export type Side = "before" | "after";

/** A text and the version it is. */
interface Told {
  text: string;
  marks: Mark[];
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

/** @internal Where a place of a text is after a splice. */
export function shifted(place: number, { position, remove, insert }: Splice): number {
  if (place <= position) return place;
  return place < position + remove ? position + insert.length : place + insert.length - remove;
}

/** A text of an item, as it is shown and edited. */
export class SharedText {
  readonly #line: DataLine;
  readonly #where: Where;
  readonly #did: (step: Step) => void;
  readonly #listeners = new Set<(text: string) => void>();
  readonly #markListeners = new Set<(marks: Mark[]) => void>();
  #told: Told = { text: "", marks: [], version: [] };
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
    const changed = () => {
      this.#stale = true;
      this.#work().catch(() => undefined);
    };
    this.#watching = this.#line.watch("items.text.watch", this.#where, changed, () => undefined);
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

  /** What is marked, by where it begins. */
  get marks(): Mark[] {
    const typed = difference(this.#told.text, this.#local);
    const here = this.#told.marks.map((mark) => ({ ...mark, start: shifted(mark.start, typed), end: shifted(mark.end, typed) }));
    return here.filter(({ start, end }) => start < end);
  }

  /** Calls back when other things are marked, or in other places for another reason than typing here; returns how to stop that. */
  onMarks(listener: (marks: Mark[]) => void): () => void {
    this.#markListeners.add(listener);
    return () => {
      this.#markListeners.delete(listener);
    };
  }

  /** Marks a part, over what marks of that name said there. Resolves when that is kept. */
  mark(start: number, end: number, name: string, value: Mark["value"], expand: Expand = "after"): Promise<void> {
    return this.#mark({ start, end, name, value, expand });
  }

  /** Takes marks of a name away from a part. */
  unmark(start: number, end: number, name: string, expand: Expand = "after"): Promise<void> {
    return this.#mark({ start, end, name, value: null, expand });
  }

  /** A cursor before the letter at a position: a name of the place that can be kept and sent, and moves with what is written around it. */
  async cursor(position: number, side: Side = "after"): Promise<string> {
    const { cursors } = await this.#alone(position, async (place) => {
      const positions = [{ position: place(position), side }];
      return (await this.#line.call("items.cursors", { ...this.#where, version: this.#told.version, positions })) as { cursors: string[] };
    });
    return cursors[0] ?? "";
  }

  /** Where cursors are in what it says now. */
  async positions(cursors: string[]): Promise<number[]> {
    return this.#alone(0, async () => {
      const found = (await this.#line.call("items.positions", { ...this.#where, cursors })) as { positions: number[]; version: string[] };
      if (found.version.join() !== this.#told.version.join()) {
        this.#take((await this.#line.call("items.text", this.#where)) as Told, this.#told.text);
      }
      const typed = difference(this.#told.text, this.#local);
      return found.positions.map((position) => shifted(position, typed));
    });
  }

  close(): void {
    this.#watching?.stop();
    this.#listeners.clear();
    this.#markListeners.clear();
  }

  async #mark({ start, end, ...mark }: { start: number; end: number; name: string; value: Mark["value"] | null; expand: Expand }): Promise<void> {
    await this.#alone(end, async (place) => {
      const at = { ...this.#where, version: this.#told.version, start: place(start), end: place(end) };
      this.#take((await this.#line.call("items.mark", { ...at, ...mark })) as Told, this.#told.text);
      // What was typed meanwhile.
      await this.#settle();
    });
  }

  /** Does something that needs both sides to have the same; `place` says where a place of now is then. */
  async #alone<T>(last: number, work: (place: (now: number) => number) => Promise<T>): Promise<T> {
    const now = this.#local;
    if (last < 0 || last > now.length) throw new RangeError("the place is not in the text");
    await this.#idle();
    return this.#exclusively(async () => {
      await this.#settle();
      const over = difference(now, this.#told.text);
      return work((place) => shifted(place, over));
    });
  }

  /** Tells and asks until both sides have the same. One at a time; who comes meanwhile waits for the same end. */
  #work(): Promise<void> {
    return this.#working ?? this.#exclusively(() => Promise.resolve());
  }

  async #idle(): Promise<void> {
    while (this.#working) await this.#working.catch(() => undefined);
  }

  /** Does something while nothing else is told or asked, and then what came up meanwhile. */
  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const doing = async () => {
      try {
        return await work();
      } finally {
        try {
          while (!this.#isSettled()) await this.#settle();
        } finally {
          // In the same turn: who comes next finds either this, which does its work too, or nothing.
          this.#working = undefined;
        }
      }
    };
    const done = Promise.resolve().then(doing);
    this.#working = done.then(() => undefined);
    this.#working.catch(() => undefined);
    return done;
  }

  #isSettled(): boolean {
    return !this.#stale && this.#told.text === this.#local;
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
      const lost = comesBack(error);
      if (!lost) this.#show(text);
      throw error;
    }
    this.#did(this.#step(splice, text.slice(splice.position, splice.position + splice.remove)));
  }

  /** Takes what the wallet tells, which would be `expected` if nobody else had written. */
  #take(told: Told, expected: string): void {
    const typed = difference(expected, this.#local);
    const before = JSON.stringify(this.#told.marks);
    this.#told = told;
    const others = difference(expected, told.text);
    this.#show(isNothing(typed) ? told.text : apply(told.text, moved(typed, others)));
    if (JSON.stringify(told.marks) !== before) for (const listener of [...this.#markListeners]) listener(this.marks);
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
    await this.#idle();
    await this.#exclusively(async () => {
      const splice = difference(this.#told.text, this.#local);
      if (isNothing(splice)) return;
      const sent = apply(this.#told.text, splice);
      const told = await this.#line.call("items.splice", { ...this.#where, version: this.#told.version, ...splice });
      this.#take(told as Told, sent);
    });
  }
}
