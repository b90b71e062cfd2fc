/**
 * Spaces and items: what an app keeps with its user.
 *
 * An item is a JSON object of a type. The wallet merges what several apps and devices write, property by property and
 * text by text, and a write that has returned is on disk.
 */

import { Counter } from "./counter.js";
import type { DataLine } from "./data.js";
import { HaloError, protocolError } from "./errors.js";
import { SharedText } from "./text.js";

export { Counter } from "./counter.js";
export { SharedText, type Expand, type Mark, type Side } from "./text.js";

/** JSON. */
export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
/** The properties of an item. */
export type Data = Record<string, Json>;

/** A name of an item in another program. */
export interface ForeignKey {
  /** Where, such as `github.com`. */
  source: string;
  id: string;
}

/** An item, as it is now. */
export interface Item<T extends Data = Data> {
  /** A ULID: by age when sorted. */
  id: string;
  space: string;
  kind: "object" | "relation";
  /** Such as `example.org/type/Task:0.1.0`. */
  type: string | null;
  deleted: boolean;
  parent: string | null;
  source: string | null;
  target: string | null;
  /** Its names in other programs, if it has any. */
  keys?: ForeignKey[];
  /** What it is filed under, if it is. */
  tags?: string[];
  /** From `get`: how it is not what the schema of its type says, if it is not. */
  mismatch?: string[];
  data: T;
}

/** A state that an item was in. */
export interface ItemVersion<T extends Data = Data> {
  change: string;
  /** Milliseconds since the epoch, by the clock of who wrote it. */
  at: number | null;
  deleted: boolean;
  data: T;
}

/** Which items. All conditions must hold. */
export interface ItemQuery {
  /** Of this type; without a version, of all versions of it. */
  type?: string;
  /** Properties with exactly these values, or a filter such as `{ gt: 3 }`. */
  where?: Record<string, Json | Comparison>;
  /** Every word begins a word in some text of the item. */
  text?: string;
  /** Filed under this. */
  tag?: string;
  /** Known by this name in another program. */
  key?: ForeignKey;
  orderBy?: { property: string; descending?: boolean }[];
  limit?: number;
  /** Deleted items as well, or nothing else. */
  deleted?: "exclude" | "include" | "only";
  /** DXOS's query AST, for everything else: references, relations, unions. The members above are ignored then. */
  ast?: object;
}

/** A comparison in {@link ItemQuery.where}. */
export type Comparison =
  | { gt: number | string }
  | { gte: number | string }
  | { lt: number | string }
  | { lte: number | string }
  | { neq: Json }
  | { in: Json[] }
  | { contains: Json }
  | { text: string };

/** What else a new item has. */
export interface NewItem {
  /** The item it belongs to. */
  parent?: string;
  /** For a relation: where it comes from and where it leads. */
  source?: string;
  target?: string;
  keys?: ForeignKey[];
  tags?: string[];
}

const COMPARISONS = ["gt", "gte", "lt", "lte", "neq"];

function filterOf(value: Json | Comparison): object {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    const [name, operand] = Object.entries(value)[0] ?? [];
    if (Object.keys(value).length === 1 && name !== undefined) {
      if (COMPARISONS.includes(name)) return { type: "compare", operator: name, value: operand };
      if (name === "in") return { type: "in", values: operand };
      if (name === "contains") return { type: "contains", value: operand };
      if (name === "text") return { type: "text-search", text: operand };
    }
  }
  return { type: "compare", operator: "eq", value };
}

const dxn = (type: string) => (type.startsWith("dxn:") ? type : `dxn:type:${type}`);

/** @internal The query AST for a query. */
export function astOf(query: ItemQuery): object {
  if (query.ast) return query.ast;
  const props = Object.fromEntries(Object.entries(query.where ?? {}).map(([name, value]) => [name, filterOf(value)]));
  const typename = query.type === undefined ? null : dxn(query.type);
  const filters: object[] = [{ type: "object", typename, props, ...(query.key && { foreignKeys: [query.key] }) }];
  if (query.text !== undefined) filters.push({ type: "text-search", text: query.text });
  if (query.tag !== undefined) filters.push({ type: "tag", tag: query.tag });
  let ast: object = { type: "select", filter: filters.length === 1 ? filters[0] : { type: "and", filters } };
  if (query.orderBy) {
    const by = query.orderBy.map(({ property, descending = false }) => ({ property, descending }));
    ast = { type: "order", query: ast, by };
  }
  if (query.limit !== undefined) ast = { type: "limit", query: ast, limit: query.limit };
  return query.deleted === undefined ? ast : { type: "options", query: ast, options: { deleted: query.deleted } };
}

/** What a place in an item reads as by a model, and the version it is. */
export interface Modelled {
  value: Json;
  version: string[];
}

/** The result of a query that follows what is written. */
export interface LiveQuery {
  stop(): void;
}

/** The spaces that this app made, and those that the user shared with it. */
export class Spaces {
  readonly #line: DataLine;
  readonly #known = new Map<string, Space>();

  /** @internal */
  constructor(line: DataLine) {
    this.#line = line;
  }

  /** This app's own space: where it keeps what has no other place. */
  async default(): Promise<Space> {
    return this.#space(await this.#line.call("spaces.default"));
  }

  /** All of them, oldest first. */
  async list(): Promise<Space[]> {
    const found = await this.#line.call("spaces.list");
    return Array.isArray(found) ? found.map((space) => this.#space(space)) : [];
  }

  /** Makes a space. Needs the scope `halo:spaces:write`. */
  async create(name: string): Promise<Space> {
    return this.#space(await this.#line.call("spaces.create", { name }));
  }

  /** Calls back with all of them, now and whenever one comes, goes or is renamed. */
  watch(changed: (spaces: Space[]) => void, failed?: (error: HaloError) => void): LiveQuery {
    const event = (spaces: unknown) => {
      changed(Array.isArray(spaces) ? spaces.map((space) => this.#space(space)) : []);
    };
    return this.#line.watch("spaces.watch", {}, event, failed ?? (() => undefined));
  }

  #space(found: unknown): Space {
    const { id, name, created, default: own } = found as Record<string, unknown>;
    if (typeof id !== "string") throw protocolError("a space has no id");
    const known = this.#known.get(id) ?? new Space(this.#line, id);
    known._update(typeof name === "string" ? name : undefined, Number(created), own === true);
    this.#known.set(id, known);
    return known;
  }
}

/** One space. */
export class Space {
  /** What is in it. */
  readonly items: Items;
  #name: string | undefined;
  #created = 0;
  #default = false;

  /** @internal */
  constructor(
    line: DataLine,
    readonly id: string,
  ) {
    this.items = new Items(line, id);
  }

  get name(): string | undefined {
    return this.#name;
  }

  /** When it was made. */
  get created(): Date {
    return new Date(this.#created);
  }

  /** It is this app's own, where it keeps what has no other place. */
  get default(): boolean {
    return this.#default;
  }

  /** @internal */
  _update(name: string | undefined, created: number, own: boolean): void {
    this.#name = name;
    this.#created = created;
    this.#default = own;
  }
}

/** @internal One step that {@link Items.undo} takes back. */
export interface Step {
  undo(): Promise<unknown>;
  redo(): Promise<unknown>;
}

/** Steps that can be taken back. */
const MOST_STEPS = 100;

/** The items of one space. */
export class Items {
  readonly #done: Step[] = [];
  #undone: Step[] = [];

  /** @internal */
  constructor(
    private readonly line: DataLine,
    private readonly space: string,
  ) {}

  /** Adds an item of a type such as `example.org/type/Task:0.1.0`. */
  async create<T extends Data>(type: string, data: T, more: NewItem = {}): Promise<Item<T>> {
    const [item] = await this.#put<T>([{ type, data, ...more }]);
    if (!item) throw protocolError("nothing was made");
    this.#did({ undo: () => this.#remove(item.id, true), redo: () => this.#remove(item.id, false) });
    return item;
  }

  /** Adds many items at once: all of them, or none. */
  async createAll<T extends Data>(type: string, all: T[]): Promise<Item<T>[]> {
    return this.#put<T>(all.map((data) => ({ type, data })));
  }

  /** Writes some properties and leaves the others; `null` removes one. */
  async update<T extends Data>(id: string, data: Partial<T>): Promise<Item<T>> {
    const before = await this.get(id);
    const old = Object.fromEntries(Object.keys(data).map((name) => [name, before?.data[name] ?? null]));
    const write = async (data: object) => (await this.#put<T>([{ id, data, merge: true }]))[0];
    const item = await write(data);
    if (!item) throw protocolError("nothing was written");
    this.#did({ undo: () => write(old), redo: () => write(data) });
    return item;
  }

  /** Makes the properties equal to these. */
  async replace<T extends Data>(id: string, data: T): Promise<Item<T>> {
    const before = await this.get(id);
    const write = async (data: object) => (await this.#put<T>([{ id, data }]))[0];
    const item = await write(data);
    if (!item) throw protocolError("nothing was written");
    if (before) this.#did({ undo: () => write(before.data), redo: () => write(data) });
    return item;
  }

  /** Names an item in other programs; all of its foreign keys. */
  async setKeys(id: string, keys: ForeignKey[]): Promise<void> {
    const before = (await this.get(id))?.keys ?? [];
    await this.#again({ id, keys }, { id, keys: before });
  }

  /** Files an item under these tags, and no others. */
  async setTags(id: string, tags: string[]): Promise<void> {
    const before = (await this.get(id))?.tags ?? [];
    await this.#again({ id, tags }, { id, tags: before });
  }

  /** Puts an item under another one, or under none. Who deletes an item hides what is below it. */
  async move(id: string, parent: string | null): Promise<void> {
    const before = (await this.get(id))?.parent ?? "";
    await this.#again({ id, parent: parent ?? "" }, { id, parent: before });
  }

  /** Deletes an item; it can be restored. What is below it is hidden with it. */
  async delete(id: string): Promise<void> {
    await this.#remove(id, true);
    this.#did({ undo: () => this.#remove(id, false), redo: () => this.#remove(id, true) });
  }

  async restore(id: string): Promise<void> {
    await this.#remove(id, false);
    this.#did({ undo: () => this.#remove(id, true), redo: () => this.#remove(id, false) });
  }

  /** One item, or `undefined` if there is none of that id. */
  async get<T extends Data>(id: string): Promise<Item<T> | undefined> {
    try {
      return (await this.line.call("items.get", { space: this.space, id })) as Item<T>;
    } catch (error) {
      if (error instanceof HaloError && error.code === "not_found") return undefined;
      throw error;
    }
  }

  async query<T extends Data>(query: ItemQuery = {}): Promise<Item<T>[]> {
    return (await this.line.call("items.query", { space: this.space, query: astOf(query) })) as Item<T>[];
  }

  /** Calls back with what a query finds, now and whenever that is something else. */
  watch<T extends Data>(
    query: ItemQuery,
    changed: (items: Item<T>[]) => void,
    failed?: (error: HaloError) => void,
  ): LiveQuery {
    const known = new Map<string, Item<T>>();
    const event = (value: unknown) => {
      const { ids, changed: fresh } = value as { ids: string[]; changed: Item<T>[] };
      for (const item of fresh) known.set(item.id, item);
      const there = new Set(ids);
      for (const id of known.keys()) if (!there.has(id)) known.delete(id);
      changed(ids.flatMap((id) => known.get(id) ?? []));
    };
    return this.line.watch("items.watch", { space: this.space, query: astOf(query) }, event, failed ?? (() => undefined));
  }

  /** The states that an item was in, newest first. */
  async history<T extends Data>(id: string): Promise<ItemVersion<T>[]> {
    return (await this.line.call("items.history", { space: this.space, id })) as ItemVersion<T>[];
  }

  /** A text of an item, to be edited by several people at once. Close it when it is not shown any more. */
  async text(id: string, property: string): Promise<SharedText> {
    const text = new SharedText(this.line, { space: this.space, id, property }, (step) => { this.#did(step); });
    await text._begin();
    return text;
  }

  /** A number that several people add to, and nobody's addition is lost. Close it when it is not shown any more. */
  async counter(id: string, property: string): Promise<Counter> {
    const counter = new Counter(this.line, { space: this.space, id, property }, (step) => { this.#did(step); });
    await counter._begin();
    return counter;
  }

  /** What a property (dots between names; `""` for all) reads as by a model: `"object"`, `"text"` or `"counter"`. */
  async read(id: string, property: string, model: string): Promise<Modelled> {
    return (await this.line.call("items.read", { space: this.space, id, property, model })) as Modelled;
  }

  /** Edits a property by a model, on the version that `read` gave or on the present one: `{ increment: 1 }`, `{ merge: { … } }`. */
  async edit(id: string, property: string, model: string, edit: object, version?: string[]): Promise<Modelled> {
    const at = { space: this.space, id, property, model, edit };
    return (await this.line.call("items.edit", version ? { ...at, version } : at)) as Modelled;
  }

  /** Takes back what this app did last in this space; `false` if there is nothing (any more). */
  async undo(): Promise<boolean> {
    const step = this.#done.pop();
    if (!step) return false;
    await step.undo();
    this.#undone.push(step);
    return true;
  }

  /** Does again what was taken back last. */
  async redo(): Promise<boolean> {
    const step = this.#undone.pop();
    if (!step) return false;
    await step.redo();
    this.#done.push(step);
    return true;
  }

  async #put<T extends Data>(items: object[]): Promise<Item<T>[]> {
    return (await this.line.call("items.put", { space: this.space, items })) as Item<T>[];
  }

  /** Writes something that is not a property, and can take it back. */
  async #again(now: object, before: object): Promise<void> {
    const write = (what: object) => this.#put([{ data: {}, merge: true, ...what }]);
    await write(now);
    this.#did({ undo: () => write(before), redo: () => write(now) });
  }

  async #remove(id: string, deleted: boolean): Promise<void> {
    await this.line.call(deleted ? "items.delete" : "items.restore", { space: this.space, id });
  }

  #did(step: Step): void {
    this.#done.push(step);
    if (this.#done.length > MOST_STEPS) this.#done.shift();
    this.#undone = [];
  }
}
