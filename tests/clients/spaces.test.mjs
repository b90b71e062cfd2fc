// What an app keeps with the user, through the SDK and through a stock Automerge Repo.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Repo } from "@automerge/automerge-repo";
import { HaloNetworkAdapter } from "@halo-wallet/sdk/automerge";
import { fileStorage, HaloNative } from "@halo-wallet/sdk/node";
import { itemsStore } from "@halo-wallet/sdk/svelte";

import { Wallet } from "./wallet.mjs";

const TASK = "example.org/type/Task:0.1.0";
const NOTE = "example.org/type/Note:0.1.0";
const WRITE = ["profile", "halo:spaces", "halo:spaces:write"];

let wallet;
let dir;
before(async () => {
  [wallet, dir] = await Promise.all([Wallet.start(), mkdtemp(join(tmpdir(), "halo-app-"))]);
  process.env.XDG_RUNTIME_DIR = wallet.runtimeDir;
});
after(() => Promise.all([wallet?.end(), rm(dir, { recursive: true })]));

const open = (clientId, scopes = WRITE) =>
  new HaloNative({ clientId, name: "Notes", scopes, profile: wallet.profile, storage: fileStorage(join(dir, `${clientId}.json`)) });

async function signIn(halo) {
  let tell;
  const shown = new Promise((resolve) => (tell = resolve));
  const signedIn = halo.signIn({ onWords: tell });
  await wallet.approve(await wallet.request(), { words: await shown });
  return signedIn;
}

/** Waits until a watch says something that `fits`. */
function heard(watch, fits) {
  return new Promise((resolve, reject) => {
    const live = watch((value) => {
      if (!fits(value)) return;
      queueMicrotask(() => live.stop());
      resolve(value);
    }, reject);
  });
}

test("an app makes a space, writes, asks, takes back, and finds it all again", async () => {
  const halo = open("org.example.tasks");
  const { spaces } = await signIn(halo);
  const own = await spaces.default();
  assert.equal(own.default, true);
  const space = await spaces.create("Errands");
  assert.equal(space.name, "Errands");
  assert.deepEqual((await spaces.list()).map(({ id }) => id), [own.id, space.id]);
  const { items } = space;

  const milk = await items.create(TASK, { title: "Milk", rank: 2, tags: ["shop"] });
  const bread = await items.create(TASK, { title: "Bread rolls", rank: 1, done: false });
  await items.create(NOTE, { body: "milk goes sour" }, { parent: milk.id });
  assert.deepEqual((await items.get(milk.id)).data, { title: "Milk", rank: 2, tags: ["shop"] });
  const titles = async (query) => (await items.query(query)).map(({ data }) => data.title ?? data.body);
  assert.deepEqual(await titles({ type: TASK, orderBy: [{ property: "rank" }] }), ["Bread rolls", "Milk"]);
  assert.deepEqual(await titles({ where: { title: "Milk" } }), ["Milk"]);
  assert.deepEqual(await titles({ where: { rank: { gt: 1 } } }), ["Milk"]);
  assert.deepEqual(await titles({ where: { tags: { contains: "shop" } } }), ["Milk"]);
  assert.deepEqual(await titles({ text: "mil" }), ["Milk", "milk goes sour"]);
  assert.deepEqual(await titles({ type: TASK, limit: 1 }), ["Milk"]);
  assert.deepEqual(
    await titles({ ast: { type: "hierarchy-traversal", direction: "to-children", anchor: { type: "select", filter: { type: "object", typename: null, props: {}, id: [milk.id] } } } }),
    ["milk goes sour"],
  );

  const updated = await items.update(milk.id, { title: "Oat milk", rank: null });
  assert.deepEqual(updated.data, { title: "Oat milk", tags: ["shop"] });
  await items.delete(bread.id);
  assert.deepEqual(await titles({ type: TASK }), ["Oat milk"]);
  assert.deepEqual(await titles({ type: TASK, deleted: "only" }), ["Bread rolls"]);
  assert.equal(await items.undo(), true);
  assert.equal(await items.undo(), true);
  assert.deepEqual(await titles({ type: TASK }), ["Milk", "Bread rolls"]);
  assert.equal((await items.get(milk.id)).data.rank, 2);
  assert.equal(await items.redo(), true);
  assert.equal((await items.get(milk.id)).data.title, "Oat milk");
  assert.ok((await items.history(milk.id)).length >= 3);
  assert.equal((await items.createAll(TASK, [{ title: "a" }, { title: "b" }])).length, 2);
  await assert.rejects(items.create("", { title: "x" }), { code: "refused" });
  await assert.rejects(items.update("nobody", { title: "x" }), { code: "not_found" });
  halo.close();

  await wallet.restart();
  const later = open("org.example.tasks");
  const again = await later.session();
  const [, found] = await again.spaces.list();
  assert.equal(found.name, "Errands");
  assert.equal((await found.items.query({ type: TASK })).length, 4);
  later.close();
});

test("two apps see each other's writes in a space that the user shared, and nothing else", async () => {
  const [one, other, reader] = [open("org.example.one"), open("org.example.two"), open("org.example.three", ["halo:spaces"])];
  const [mine, theirs] = [(await signIn(one)).spaces, (await signIn(other)).spaces];
  const look = (await signIn(reader)).spaces;
  const space = await mine.create("Ours");
  const item = await space.items.create(TASK, { title: "Milk" });
  assert.ok(!(await theirs.list()).some(({ id }) => id === space.id));
  const app = async (name) => (await wallet.run(["apps", "list"])).find(({ client_id }) => client_id === name).id;
  await wallet.run(["spaces", "share", space.id, await app("org.example.two")]);
  await wallet.run(["spaces", "share", space.id, await app("org.example.three")]);
  const shared = (await theirs.list()).find(({ id }) => id === space.id);
  const seen = heard((said) => shared.items.watch({ type: TASK }, said), (items) => items.length === 2);
  await space.items.create(TASK, { title: "Bread" });
  assert.deepEqual((await seen).map(({ data }) => data.title), ["Milk", "Bread"]);
  const changed = heard((said) => space.items.watch({ type: TASK }, said), (items) => items[0]?.data.title === "Oats");
  await shared.items.update(item.id, { title: "Oats" });
  await changed;

  const mayLook = (await look.list()).find(({ id }) => id === space.id);
  assert.equal((await mayLook.items.query({ type: TASK })).length, 2);
  await assert.rejects(mayLook.items.create(TASK, { title: "x" }), { code: "forbidden" });
  await assert.rejects(mayLook.items.delete(item.id), { code: "forbidden" });
  await assert.rejects(look.create("x"), { code: "forbidden" });
  for (const halo of [one, other, reader]) halo.close();
});

test("what several people type into one text is all there", async () => {
  const [halo, second] = [open("org.example.notes"), open("org.example.notes")];
  const { items } = await (await signIn(halo)).spaces.default();
  const { items: elsewhere } = await (await second.session()).spaces.default();
  const note = await items.create(NOTE, { body: "Hello world" });
  const [here, there] = [await items.text(note.id, "body"), await elsewhere.text(note.id, "body")];
  assert.equal(there.value, "Hello world");
  await Promise.all([here.splice(0, 5, "Good day"), there.splice(11, 0, " 😀!")]);
  const whole = "Good day world 😀!";
  const both = [here, there].map(
    (text) => new Promise((resolve) => (text.value === whole ? resolve() : text.onChange((value) => value === whole && resolve()))),
  );
  await Promise.all(both);
  await here.set("Good day, world 😀?");
  assert.equal(here.value, "Good day, world 😀?");
  assert.equal((await items.get(note.id)).data.body, "Good day, world 😀?");
  await items.undo();
  assert.equal(here.value, whole);
  await assert.rejects(items.text(note.id, "nothing"), { code: "refused" });
  here.close();
  there.close();
  halo.close();
  second.close();
});

test("marks and cursors stay where they belong, whoever writes", async () => {
  const [halo, second] = [open("org.example.marks"), open("org.example.marks")];
  const { items } = await (await signIn(halo)).spaces.default();
  const { items: elsewhere } = await (await second.session()).spaces.default();
  const note = await items.create(NOTE, { body: "😀 bold text" });
  const [here, there] = [await items.text(note.id, "body"), await elsewhere.text(note.id, "body")];
  const [caret, end] = [await here.cursor(8), await here.cursor(12)];
  await here.mark(3, 7, "bold", true);
  await here.mark(8, 12, "link", "https://a.example", "none");
  const marked = new Promise((resolve) => (there.marks.length === 2 ? resolve() : there.onMarks((marks) => marks.length === 2 && resolve())));
  await marked;
  await there.splice(0, 0, "> ");
  await new Promise((resolve) => (here.value.startsWith(">") ? resolve() : here.onChange((value) => value.startsWith(">") && resolve())));
  const typed = here.splice(9, 0, "er");
  assert.deepEqual(here.marks.at(-1), { start: 12, end: 16, name: "link", value: "https://a.example" }, "moved at once by what is typed here");
  await typed;
  assert.equal(here.value, "> 😀 bolder text");
  assert.deepEqual(here.marks, [
    { start: 5, end: 11, name: "bold", value: true },
    { start: 12, end: 16, name: "link", value: "https://a.example" },
  ]);
  assert.deepEqual(await here.positions([caret, end]), [12, 16]);
  await here.unmark(5, 11, "bold");
  assert.deepEqual((await elsewhere.text(note.id, "body")).marks.map(({ name }) => name), ["link"]);
  await assert.rejects(here.cursor(99), RangeError);
  await assert.rejects(here.positions(["nonsense"]), { code: "refused" });
  await assert.rejects(here.mark(2, 3, "bold", true), { code: "refused" }, "half a letter");
  for (const text of [here, there]) text.close();
  halo.close();
  second.close();
});

test("counters add up, items have names elsewhere and tags, and schemas are kept to", async () => {
  const halo = open("org.example.more");
  const { items } = await (await signIn(halo)).spaces.default();
  const poll = await items.create("example.org/type/Poll:0.1.0", { votes: 0 }, { tags: ["open"], keys: [{ source: "github.com", id: "7" }] });
  const [one, other] = [await items.counter(poll.id, "votes"), await items.counter(poll.id, "votes")];
  await one.increment(0);
  await Promise.all([one.increment(2), other.increment(3)]);
  await new Promise((resolve) => (one.value === 5 ? resolve() : one.onChange((value) => value === 5 && resolve())));
  await items.undo();
  assert.ok([2, 3].includes((await items.get(poll.id)).data.votes));
  const read = await items.read(poll.id, "votes", "counter");
  assert.equal((await items.edit(poll.id, "votes", "counter", { increment: -1 }, read.version)).value, read.value - 1);
  for (const counter of [one, other]) counter.close();

  const ids = async (query) => (await items.query(query)).map(({ id }) => id);
  assert.deepEqual(await ids({ tag: "open" }), [poll.id]);
  assert.deepEqual(await ids({ key: { source: "github.com", id: "7" } }), [poll.id]);
  await items.setTags(poll.id, ["closed"]);
  await items.setKeys(poll.id, []);
  const now = await items.get(poll.id);
  assert.deepEqual([now.tags, now.keys], [["closed"], undefined]);
  await items.undo();
  await items.undo();
  assert.deepEqual(await ids({ tag: "open", key: { source: "github.com", id: "7" } }), [poll.id]);

  const answer = await items.create("example.org/type/Answer:0.1.0", {}, { parent: poll.id });
  await items.delete(poll.id);
  assert.deepEqual(await ids({ type: "example.org/type/Answer" }), []);
  await items.undo();
  assert.deepEqual(await ids({ type: "example.org/type/Answer" }), [answer.id]);
  await items.move(answer.id, null);
  assert.equal((await items.get(answer.id)).parent, null);

  const jsonSchema = { type: "object", properties: { title: { type: "string" } }, required: ["title"] };
  await items.create("dxos.org/type/Schema:0.1.0", { typename: "example.org/type/Book", version: "0.1.0", jsonSchema });
  await items.create("example.org/type/Book:0.1.0", { title: "Emma" });
  await assert.rejects(items.create("example.org/type/Book:0.1.0", { title: 1 }), (error) => {
    assert.equal(error.code, "refused");
    assert.match(error.cause.message, /"title" is of type number, not string/);
    return true;
  });
  halo.close();
});

test("a stock Automerge Repo keeps documents in a space, and survives that the wallet restarts", async () => {
  const [halo, second] = [open("org.example.repo"), open("org.example.repo")];
  const session = await signIn(halo);
  const space = await session.spaces.default();
  const one = new Repo({ network: [new HaloNetworkAdapter(session, space)] });
  const other = new Repo({ network: [new HaloNetworkAdapter(await second.session(), space)] });
  const mine = one.create({ title: "Milk", list: ["a"] });
  const until = async (handle, fits) => {
    while (!fits(handle.doc())) await new Promise((resolve) => handle.once("change", resolve));
  };
  // Found only once the wallet has it.
  const theirs = await found(other, mine.url);
  assert.deepEqual(theirs.doc(), { title: "Milk", list: ["a"] });
  theirs.change((doc) => { doc.list.push("b"); });
  await until(mine, (doc) => doc.list.length === 2);
  mine.change((doc) => { doc.title = "Oat milk"; });
  await until(theirs, (doc) => doc.title === "Oat milk");

  await wallet.restart();
  mine.change((doc) => { doc.list.push("c"); });
  theirs.change((doc) => { doc.list.push("d"); });
  await until(mine, (doc) => doc.list.length === 4);
  await until(theirs, (doc) => doc.list.length === 4);
  assert.deepEqual(mine.doc(), theirs.doc());

  const third = new Repo({ network: [new HaloNetworkAdapter(session, space)] });
  assert.deepEqual((await found(third, mine.url)).doc(), mine.doc());
  await assert.rejects(third.find("automerge:2akvofn6L1o4RMUEMQi7qzwRjKWZ"), /unavailable/);
  for (const repo of [one, other, third]) await repo.shutdown();
  halo.close();
  second.close();
});

/** Asks until the document is there: what one repo has just made is on its way for a moment. */
async function found(repo, url) {
  const late = AbortSignal.timeout(60_000);
  for (;;) {
    try {
      return await repo.find(url);
    } catch (error) {
      if (late.aborted) throw error;
      repo.delete(url);
    }
  }
}

test("stores follow what is written", async () => {
  const halo = open("org.example.stores");
  const space = await (await signIn(halo)).spaces.default();
  const values = [];
  let stop;
  const done = new Promise((resolve) => {
    stop = itemsStore(space, { type: TASK }).subscribe((items) => {
      values.push(items?.map(({ data }) => data.title));
      if (items?.length === 1) resolve();
    });
  });
  await space.items.create(TASK, { title: "Milk" });
  await done;
  stop();
  assert.deepEqual([values[0], values.at(-1)], [undefined, ["Milk"]]);
  halo.close();
});
