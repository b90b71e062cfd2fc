// An unmodified @dxos/client 0.8.3 with HALO as its services host, as an app would use it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Client, fromSocket } from "@dxos/client";
import { Filter, Query, live } from "@dxos/client/echo";

import { becomes, Expando, Person, Ref, Task } from "./app.mjs";
import { leave, services, signIn, Wallet } from "./signin.mjs";

let wallet;
let token;
const clients = [];

async function connect() {
  const client = new Client({ services: fromSocket(services(wallet), token) });
  clients.push(client);
  await client.initialize();
  client.addTypes([Person, Task]);
  await client.spaces.waitUntilReady();
  return client;
}

async function disconnect(client) {
  clients.splice(clients.indexOf(client), 1);
  await leave(client);
}

/** Resolves once `seen` accepts what a live query finds. */
function until(space, query, seen) {
  return new Promise((resolve) => {
    const stop = space.db.query(query).subscribe(
      ({ objects }) => {
        if (!seen(objects)) return;
        queueMicrotask(() => stop());
        resolve(objects);
      },
      { fire: true },
    );
  });
}

const titles = async (space, query) => (await space.db.query(query).run()).objects.map((object) => object.title).sort();

/** Finds by type, property, text and reference; what each finds follows from the first test's items. */
async function findAll(space) {
  assert.deepEqual(await titles(space, Query.type(Task)), ["Bread and butter", "Oat milk"]);
  assert.deepEqual(await titles(space, Query.select(Filter.type(Task, { title: "Oat milk" }))), ["Oat milk"]);
  assert.deepEqual(await titles(space, Query.select(Filter.type(Task, { rank: Filter.gt(1) }))), ["Bread and butter"]);
  assert.deepEqual(await titles(space, Query.select(Filter.type(Task, { rank: Filter.between(0, 1) }))), ["Oat milk"]);
  assert.deepEqual(await titles(space, Query.select(Filter.type(Task, { title: Filter.in("Milk", "Oat milk") }))), ["Oat milk"]);
  assert.deepEqual(
    await titles(space, Query.select(Filter.and(Filter.type(Task), Filter.not(Filter.type(Task, { done: true }))))),
    ["Oat milk"],
  );
  assert.deepEqual(await titles(space, Query.select(Filter.text("butter"))), ["Bread and butter"]);
  assert.deepEqual(
    await titles(space, Query.select(Filter.type(Person, { name: "Ada" })).referencedBy(Task, "owner")),
    ["Oat milk"],
  );
  const owners = await space.db.query(Query.select(Filter.type(Task)).reference("owner")).run();
  assert.deepEqual(owners.objects.map((person) => person.name), ["Ada"]);
  assert.deepEqual(
    await titles(space, Query.without(Query.type(Task), Query.select(Filter.type(Task, { done: true })))),
    ["Oat milk"],
  );
}

before(async () => {
  wallet = await Wallet.start({ name: "Ada" });
  token = await signIn(wallet);
});

after(async () => {
  for (const client of [...clients]) await disconnect(client);
  await wallet?.end();
});

test("identity, devices and contacts are there from the start", async () => {
  const client = await connect();
  const identity = client.halo.identity.get();
  assert.match(identity.did, /^did:halo:B[A-Z2-7]{32}$/);
  assert.equal(identity.profile.displayName, "Ada");
  const devices = client.halo.devices.get();
  assert.equal(devices.length, 1);
  assert.equal(devices[0].kind, 0, "the current one");
  assert.deepEqual(client.halo.device.deviceKey, devices[0].deviceKey);
  const contacts = await client.services.services.ContactsService.getContacts();
  assert.deepEqual(contacts.contacts ?? [], []);
  // What the client would be given if it asked for a new identity.
  const again = await client.services.services.IdentityService.createIdentity({});
  assert.deepEqual(again.identityKey, identity.identityKey);
  await disconnect(client);
});

test("items are added, edited, found, deleted, and there again after a restart of the wallet", async () => {
  let client = await connect();
  const space = await client.spaces.create({ name: "Household" });
  await space.waitUntilReady();
  const ada = space.db.add(live(Person, { name: "Ada" }));
  const milk = space.db.add(live(Task, { title: "Milk", rank: 1, owner: Ref.make(ada) }));
  space.db.add(live(Task, { title: "Bread and butter", rank: 2, done: true }));
  space.db.add(live(Expando, { title: "Something else" }));
  await space.db.flush();

  milk.title = "Oat milk";
  await space.db.flush();
  await findAll(space);
  // A client that has none of it in memory: what it finds, the wallet found.
  const fresh = await connect();
  await fresh.spaces.get(space.id).waitUntilReady();
  await findAll(fresh.spaces.get(space.id));
  await disconnect(fresh);

  space.db.remove(space.db.getObjectById(milk.id));
  await space.db.flush();
  assert.deepEqual(await titles(space, Query.type(Task)), ["Bread and butter"]);
  const id = space.id;
  await disconnect(client);

  await wallet.restart();
  // Tokens do not outlive the wallet; an app asks for another with its grant.
  token = await signIn(wallet);
  client = await connect();
  const back = client.spaces.get(id);
  await back.waitUntilReady();
  assert.equal(back.properties.name, "Household");
  assert.deepEqual(await titles(back, Query.type(Task)), ["Bread and butter"]);
  const everything = await back.db.query(Filter.everything()).run();
  assert.ok(everything.objects.some((object) => object.title === "Something else"));
  await disconnect(client);
});

test("two clients see each other's writes", async () => {
  const [one, other] = [await connect(), await connect()];
  const here = one.spaces.default;
  await here.waitUntilReady();
  const there = other.spaces.get(here.id);
  await there.waitUntilReady();

  const added = until(there, Query.type(Task), (tasks) => tasks.some((task) => task.title === "Seen"));
  const task = here.db.add(live(Task, { title: "Seen" }));
  const [theirs] = (await added).filter((task) => task.title === "Seen");
  const back = until(here, Query.select(Filter.type(Task, { done: true })), (tasks) => tasks.length === 1);
  theirs.done = true;
  await back;
  await becomes(task, ({ done }) => done);

  // A space that one makes turns up at the other.
  const fresh = await one.spaces.create({ name: "Both" });
  await fresh.waitUntilReady();
  await new Promise((resolve) => {
    const stop = other.spaces.subscribe((spaces) => {
      if (!spaces.some((space) => space.id === fresh.id)) return;
      queueMicrotask(() => stop.unsubscribe());
      resolve();
    });
  });
  await disconnect(one);
  await disconnect(other);
});

test("many items in one go", async () => {
  const client = await connect();
  const space = await client.spaces.create();
  await space.waitUntilReady();
  for (let number = 0; number < 300; number += 1) space.db.add(live(Task, { title: `Task ${number}`, rank: number }));
  await space.db.flush();
  const { objects } = await space.db.query(Query.type(Task)).run();
  assert.equal(objects.length, 300);
  await disconnect(client);
});
