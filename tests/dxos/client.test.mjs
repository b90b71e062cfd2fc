// What the tests of @dxos/client's own package ask of a host (its `src/tests`), asked of HALO under their own names. What
// differs is in docs/protocol/dxos.md.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { Client, fromSocket } from "@dxos/client";
import { Filter, getSpace, live, Query } from "@dxos/client/echo";
import { verifyCredential, verifyPresentation } from "@dxos/credentials";
import { SpaceId } from "@dxos/keys";

import { becomes, Expando, Person, Ref, Task } from "./app.mjs";
import { leave, services, signIn, Wallet } from "./signin.mjs";

const READY = 3;
const INACTIVE = 2;
const EVERYTHING = "openid profile halo:spaces halo:spaces:write halo:devices halo:contacts halo:invitations";

let wallet;
let token;
const clients = [];

before(async () => {
  wallet = await Wallet.start({ name: "test-user" });
  token = await signIn(wallet, "org.example.client-tests", EVERYTHING);
});

afterEach(async () => {
  for (const client of clients.splice(0)) await leave(client);
});

after(() => wallet?.end());

async function connect(as = token) {
  const client = new Client({ services: fromSocket(services(wallet), as) });
  clients.push(client);
  await client.initialize();
  client.addTypes([Person, Task]);
  await client.spaces.waitUntilReady();
  return client;
}

async function create(client, properties) {
  const space = await client.spaces.create(properties);
  await space.waitUntilReady();
  return space;
}

/** Resolves once an observable has a value that `seen` accepts. */
function when(observable, seen) {
  if (seen(observable.get())) return observable.get();
  return new Promise((resolve) => {
    const subscription = observable.subscribe((value) => {
      if (!seen(value)) return;
      queueMicrotask(() => subscription.unsubscribe());
      resolve(value);
    });
  });
}

/** Resolves once a live query finds what `seen` accepts, which is about which objects these are and not about how they are. */
function found(db, query, seen) {
  return new Promise((resolve) => {
    const stop = db.query(query).subscribe(
      ({ objects }) => {
        if (!seen(objects)) return;
        queueMicrotask(() => stop());
        resolve(objects);
      },
      { fire: true },
    );
  });
}

const there = async (client, id) => {
  const space = client.spaces.get(id) ?? (await when(client.spaces, (spaces) => spaces.some((one) => one.id === id)), client.spaces.get(id));
  return space.waitUntilReady();
};

// client.test.ts

test("default space loads", async () => {
  const client = await connect();
  await client.spaces.default.waitUntilReady();
  assert.equal(client.spaces.default.state.get(), READY);
});

test("initialize and destroy multiple times; closes and reopens", async () => {
  const client = await connect();
  await client.initialize();
  assert.equal(client.initialized, true);
  await leave(client);
  await leave(client);
  assert.equal(client.initialized, false);
  await client.initialize();
  assert.equal(client.initialized, true);
});

test("creates identity then resets: there is one, and it is not the client's to reset", async () => {
  const client = await connect();
  await assert.rejects(client.halo.createIdentity({ displayName: "test-user" }), Error);
  await assert.rejects(client.services.services.SystemService.reset(), /not reset by an app/);
});

test("objects are being synced between clients", async () => {
  const [one, two] = [await connect(), await connect()];
  const space = await create(one);
  const other = await there(two, space.id);
  const task = space.db.add(live(Task, { title: "Thread" }));
  await space.db.flush();
  const [theirs] = await found(other.db, Query.type(Task), (tasks) => tasks.length === 1);
  task.title = "Hello";
  await found(other.db, Query.select(Filter.type(Task, { title: "Hello" })), (tasks) => tasks.length === 1);
  await becomes(theirs, ({ title }) => title === "Hello");
  theirs.title = "Hello back";
  await found(space.db, Query.select(Filter.type(Task, { title: "Hello back" })), (tasks) => tasks.length === 1);
  await becomes(task, ({ title }) => title === "Hello back");
});

// spaces.test.ts

test("creates a space", async () => {
  const client = await connect();
  const space = await create(client);
  assert.ok(SpaceId.isValid(space.id));
  assert.equal(space.members.get().length, 1);
  assert.ok(client.spaces.get(space.id) === space);
  assert.ok(client.spaces.get(space.key) === space);
});

test("creates a space re-opens the client", async () => {
  const client = await connect();
  const space = await create(client);
  const { id } = space.db.add(live(Task, { title: "Kept" }));
  await space.db.flush();
  await leave(client);
  await client.initialize();
  const back = await there(client, space.id);
  assert.equal((await back.db.query(Filter.ids(id)).first()).title, "Kept");
});

test("post and listen to messages", async () => {
  const [one, two] = [await connect(), await connect()];
  const space = await create(one);
  const other = await there(two, space.id);
  const heard = {};
  const all = ["hello", "goodbye"].map(
    (channel) => new Promise((resolve) => other.listen(channel, (message) => resolve((heard[channel] = message)))),
  );
  // Frames are handled in order: after this answer the streams are open.
  await two.services.services.SystemService.getPlatform();
  await space.postMessage("hello", { data: "Hello, world!" });
  await space.postMessage("goodbye", { data: "Goodbye" });
  await Promise.all(all);
  assert.ok(heard.hello.channelId.includes("hello"));
  assert.equal(heard.hello.payload.data, "Hello, world!");
  assert.equal(heard.goodbye.payload.data, "Goodbye");
});

test("space properties are reactive", async () => {
  const [one, two] = [await connect(), await connect()];
  const space = await create(one);
  const other = await there(two, space.id);
  space.properties.name = "example";
  await space.db.flush();
  assert.equal(space.properties.name, "example");
  // Not by a live query: which objects it finds stays the same, and then it may say nothing.
  await becomes(other.properties, ({ name }) => name === "example");
});

test("objects are owned by spaces", async () => {
  const client = await connect();
  const space = await create(client);
  assert.equal(getSpace(space.db.add(live(Expando, { data: "test" }))), space);
});

test("spaces can be opened and closed, with two clients", async () => {
  const [one, two] = [await connect(), await connect()];
  const space = await create(one);
  const { id } = space.db.add(live(Expando, { data: "test" }));
  await space.db.flush();
  const other = await there(two, space.id);
  await space.close();
  await when(space.state, (state) => state === INACTIVE);
  await when(other.state, (state) => state === INACTIVE);
  await space.open();
  await space.waitUntilReady();
  await when(space.state, (state) => state === READY);
  await when(other.state, (state) => state === READY);
  assert.ok(space.db.getObjectById(id));
  space.db.getObjectById(id).data = "test2";
  await space.db.flush();
});

test("text replicates between clients", async () => {
  const [one, two] = [await connect(), await connect()];
  const space = await create(one);
  const other = await there(two, space.id);
  const task = space.db.add(live(Task, { title: "Hello, world!" }));
  await space.db.flush();
  const [theirs] = await found(other.db, Query.type(Task), (tasks) => tasks.length === 1);
  assert.equal(theirs.title, task.title);
});

test("collection-sync: objects that are linked later turn up", async () => {
  const [one, two] = [await connect(), await connect()];
  const space = await create(one);
  const other = await there(two, space.id);
  const root = space.db.add(live(Expando, { entries: [Ref.make(live(Expando, { name: "first" }))] }));
  await space.db.flush();
  root.entries.push(Ref.make(live(Expando, { name: "second" })));
  await space.db.flush();
  await found(other.db, Filter.type(Expando, { name: "second" }), (objects) => objects.length === 1);
});

test("queries respect space boundaries; peers do not gain access to documents from another space", async () => {
  const client = await connect();
  const [one, two] = [await create(client), await create(client)];
  one.db.add(live(Task, { title: "One" }));
  two.db.add(live(Task, { title: "Two" }));
  await Promise.all([one.db.flush(), two.db.flush()]);
  const titles = async (query) => (await query.run()).objects.map(({ title }) => title);
  assert.deepEqual(await titles(one.db.query(Query.type(Task))), ["One"]);
  assert.deepEqual(await titles(two.db.query(Query.type(Task))), ["Two"]);
  const all = await titles(client.spaces.query(Query.type(Task), { spaceIds: [one.id, two.id] }));
  assert.ok(all.includes("One") && all.includes("Two"));
  const stranger = await connect(await signIn(wallet, "org.example.stranger"));
  const theirs = await titles(stranger.spaces.query(Query.type(Task)));
  assert.deepEqual(theirs, []);
  assert.equal(stranger.spaces.get(one.id), undefined);
});

test("getEpochs: one, and no other is made", async () => {
  const client = await connect();
  const space = await create(client);
  const epochs = await space.internal.getEpochs();
  assert.equal(epochs.length, 1);
  assert.equal(epochs[0].subject.assertion.automergeRoot, space.internal.data.pipeline.spaceRootUrl);
  await assert.rejects(space.internal.createEpoch({ migration: 2 }), /begins epochs by itself/);
});

test("export and import of a space archive", async () => {
  const client = await connect();
  const space = await create(client, { name: "Carried" });
  const task = space.db.add(live(Task, { title: "Carried along" }));
  await space.db.flush();
  const archive = await space.internal.export();
  assert.ok(archive.contents.length > 0);
  assert.equal(archive.filename, `${space.id}.tar`);
  const stranger = await connect(await signIn(wallet, "org.example.carrier"));
  const imported = await stranger.spaces.import(archive);
  await imported.waitUntilReady();
  assert.notEqual(imported.id, space.id);
  assert.equal(imported.properties.name, "Carried");
  assert.equal((await imported.db.query(Filter.ids(task.id)).first()).title, "Carried along");
  await assert.rejects(stranger.spaces.import({ filename: "x.tar", contents: new Uint8Array(600) }), /no archive/);
});

// lazy-space-loading.test.ts

test("default space is open by default", async () => {
  const client = await connect();
  // Nobody asks for it to be opened.
  await when(client.spaces.default.state, (state) => state === READY);
});

// halo-credentials.node.test.ts

test("presentation", async () => {
  const client = await connect(await signIn(wallet, "org.example.presenter", EVERYTHING));
  const members = (credentials) => credentials.filter(({ subject }) => subject.assertion["@type"] === "dxos.halo.credentials.SpaceMember");
  const credentials = members(await when(client.halo.credentials, (all) => members(all).length >= 2));
  const nonce = new Uint8Array([0, 0, 0, 0]);
  const presentation = await client.halo.presentCredentials({ ids: credentials.map(({ id }) => id), nonce });
  assert.equal(presentation.credentials.length, 2);
  assert.deepEqual(await verifyPresentation(presentation), { kind: "pass" });
  assert.deepEqual(new Uint8Array(presentation.proofs[0].nonce), nonce);
  // What was changed does not verify.
  presentation.proofs[0].nonce = new Uint8Array([1]);
  assert.equal((await verifyPresentation(presentation)).kind, "fail");
});

test("query credentials, and an auth credential", async () => {
  const client = await connect();
  const all = await when(client.halo.credentials, (credentials) => credentials.some(({ subject }) => subject.assertion["@type"].endsWith("DefaultSpace")));
  for (const credential of all) assert.deepEqual(await verifyCredential(credential), { kind: "pass" }, credential.subject.assertion["@type"]);
  const devices = client.halo.queryCredentials({ type: "dxos.halo.credentials.AuthorizedDevice" });
  assert.deepEqual(devices.map(({ subject }) => subject.id.toHex()), [client.halo.device.deviceKey.toHex()]);
  const auth = await client.services.services.IdentityService.createAuthCredential();
  assert.deepEqual(await verifyCredential(auth), { kind: "pass" });
  assert.ok(auth.subject.id.equals(client.halo.identity.get().identityKey));
  assert.ok(auth.proof.signer.equals(client.halo.device.deviceKey));
});

test("credentials that are written are there, also for another client and after a restart", async () => {
  const app = "org.example.writer";
  let client = await connect(await signIn(wallet, app));
  const auth = await client.services.services.IdentityService.createAuthCredential();
  await client.halo.writeCredentials([auth]);
  const is = (credential) => credential.id.equals(auth.id);
  await when(client.halo.credentials, (credentials) => credentials.some(is));
  const presentation = await client.halo.presentCredentials({ ids: [auth.id], nonce: new Uint8Array([7]) });
  assert.deepEqual(await verifyPresentation(presentation), { kind: "pass" });
  await leave(client);
  client = await connect(await signIn(wallet, app));
  const [kept] = (await when(client.halo.credentials, (credentials) => credentials.some(is))).filter(is);
  assert.deepEqual(await verifyCredential(kept), { kind: "pass" });
});

// halo-profile.test.ts

test("creates a identity: it is there, with its name and its devices", async () => {
  const client = await connect();
  assert.equal(client.halo.identity.get().profile.displayName, "test-user");
  assert.equal(client.halo.devices.get().length, 1);
  assert.ok(client.halo.device.profile.label.length > 0);
});

test("updates profile: only the user does", async () => {
  const client = await connect();
  const same = await client.halo.updateProfile({ displayName: "test-user" });
  assert.ok(same.identityKey.equals(client.halo.identity.get().identityKey));
  await assert.rejects(client.halo.updateProfile({ displayName: "test-user-updated" }), /the user's to change/);
  assert.equal(client.halo.identity.get().profile.displayName, "test-user");
});

test("device invitations: never by an app", async () => {
  const client = await connect();
  const stream = client.services.services.InvitationsService.createInvitation({ kind: 0, invitationId: "x", type: 0, authMethod: 1, state: 0, swarmKey: client.halo.device.deviceKey });
  const failed = await new Promise((resolve) => stream.subscribe(() => resolve(), resolve));
  assert.match(failed.message, /linked in HALO, never by an app/);
});

// contact-book.test.ts

test("nobody is a contact yet", async () => {
  const client = await connect();
  assert.deepEqual(client.halo.contacts.get(), []);
});

// indexing.test.ts

test("`or` query, `not(or)` query, Expando objects, re-index", async () => {
  const client = await connect();
  const space = await create(client);
  const people = ["Alice", "Bob", "Catherine"].map((name) => space.db.add(live(Person, { name })));
  const tasks = ["Design", "Architecture"].map((title) => space.db.add(live(Task, { title })));
  const things = [{ org: "DXOS" }, { name: "Mykola" }, { height: 185 }].map((data) => space.db.add(live(Expando, data)));
  await space.db.flush();
  // A client that has none of it: what it finds, the host found.
  const fresh = await there(await connect(), space.id);
  const ids = async (query) => (await fresh.db.query(query).run()).objects.map(({ id }) => id).sort();
  const of = (...objects) => objects.flat().map(({ id }) => id).sort();
  assert.deepEqual(await ids(Filter.type(Person)), of(people));
  assert.deepEqual(await ids(Filter.or(Filter.type(Person), Filter.type(Task))), of(people, tasks));
  const rest = await ids(Filter.not(Filter.or(Filter.type(Person), Filter.type(Task))));
  assert.ok(!rest.some((id) => of(people, tasks).includes(id)) && of(things).every((id) => rest.includes(id)));
  assert.deepEqual(await ids(Filter.type(Expando)), of(things));
  await client.services.services.QueryService.reindex();
  assert.deepEqual(await ids(Filter.type(Person)), of(people));
});

test("object deletion triggers query update", async () => {
  const [one, two] = [await connect(), await connect()];
  const space = await create(one);
  const other = await there(two, space.id);
  const tasks = ["Stays", "Goes"].map((title) => space.db.add(live(Task, { title })));
  await space.db.flush();
  await found(other.db, Filter.type(Task), (objects) => objects.length === 2);
  const gone = found(other.db, Filter.type(Task), (objects) => objects.length === 1);
  space.db.remove(tasks[1]);
  await space.db.flush();
  assert.deepEqual((await gone).map(({ title }) => title), ["Stays"]);
});

// diagnostics.test.ts

test("collects with remote server", async () => {
  const client = await connect();
  const { diagnostics } = await client.services.services.SystemService.getDiagnostics({});
  assert.match(diagnostics.host, /^HALO /);
  const platform = await client.services.services.SystemService.getPlatform();
  assert.match(platform.runtime, /^HALO /);
});
