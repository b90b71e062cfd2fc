// What an app may not: with no grant, with a narrower one, or with somebody else's space in mind.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Client, fromSocket } from "@dxos/client";
import { live, Query } from "@dxos/client/echo";
import WebSocket from "ws";

import { Task } from "./app.mjs";
import { leave, services, signIn, Wallet } from "./signin.mjs";

let wallet;

before(async () => {
  wallet = await Wallet.start();
});
after(() => wallet?.end());

async function connect(token) {
  const client = new Client({ services: fromSocket(services(wallet), token) });
  await client.initialize();
  client.addTypes([Task]);
  await client.spaces.waitUntilReady();
  return client;
}

/** A line as the client opens it, and what becomes of it. */
function line(token) {
  const encoded = btoa(token).replaceAll("=", "");
  const socket = new WebSocket(services(wallet), [`base64url.bearer.authorization.dxos.org.${encoded}`]);
  const said = new Promise((resolve) => {
    socket.on("open", () => resolve("open"));
    socket.on("error", (error) => resolve(error.message));
  });
  return { socket, said };
}

async function knock(token) {
  const { socket, said } = line(token);
  const answer = await said;
  socket.terminate();
  return answer;
}

test("without a token, a good one, or the scope, there is no line", async () => {
  const bare = new WebSocket(services(wallet));
  assert.match(await new Promise((resolve) => bare.on("error", ({ message }) => resolve(message))), /401/);
  assert.match(await knock("made-up"), /401/);
  assert.match(await knock(await signIn(wallet, "org.example.plain", "openid profile")), /403/);
  assert.equal(await knock(await signIn(wallet, "org.example.spaces", "openid halo:spaces")), "open");
});

test("an app that may only look, looks", async () => {
  const client = await connect(await signIn(wallet, "org.example.reader", "openid halo:spaces"));
  const space = client.spaces.default;
  await space.waitUntilReady();
  const { SpacesService, DataService } = client.services.services;
  await assert.rejects(SpacesService.createSpace(), /halo:spaces:write/);
  const document = [...space.db.coreDatabase.getLoadedDocumentHandles()][0]?.documentId;
  assert.ok(document, "the directory of its space is loaded");
  const updates = [{ documentId: document, mutation: new Uint8Array([1, 2, 3]), isNew: false }];
  await assert.rejects(DataService.update({ subscriptionId: "none", updates }), /no such subscription/);
  await leave(client);
});

test("another app's space does not exist for it", async () => {
  const ours = await connect(await signIn(wallet, "org.example.ours"));
  const theirs = await connect(await signIn(wallet, "org.example.theirs"));
  const space = await ours.spaces.create();
  await space.waitUntilReady();
  space.db.add(live(Task, { title: "Secret" }));
  await space.db.flush();

  assert.notDeepEqual(ours.halo.identity.get().did, theirs.halo.identity.get().did);
  assert.notDeepEqual(ours.halo.device.deviceKey, theirs.halo.device.deviceKey);
  assert.notDeepEqual(ours.halo.identity.get().spaceKey, theirs.halo.identity.get().spaceKey);
  assert.ok(!theirs.spaces.get().some(({ id }) => id === space.id));
  const { SpacesService, DataService } = theirs.services.services;
  await assert.rejects(SpacesService.updateSpace({ spaceKey: space.key, state: 6 }), /no such space/);
  const stream = DataService.subscribe({ subscriptionId: "thief", spaceId: space.id });
  const failed = await new Promise((resolve) => stream.subscribe(() => resolve("data"), (error) => resolve(error)));
  assert.match(String(failed.message), /no such space/);
  const documentId = space.internal.data.pipeline.spaceRootUrl.split(":")[1];
  const request = { subscriptionId: "thief", addIds: [documentId], removeIds: [] };
  await assert.rejects(DataService.updateSubscription(request), /no such subscription/);
  // Nor by a query over everything.
  const found = await theirs.spaces.query(Query.type(Task)).run();
  assert.deepEqual(found.objects.map((task) => task.title), []);
  await leave(ours);
  await leave(theirs);
});

test("a revoked app is cut off at once", async () => {
  const app = "org.example.fired";
  const { socket, said } = line(await signIn(wallet, app));
  assert.equal(await said, "open");
  const gone = new Promise((resolve) => socket.on("close", resolve));
  await wallet.revoke(app);
  await gone;
});

test("locking cuts every app off, and leaves its grant", async () => {
  const token = await signIn(wallet, "org.example.patient");
  const { socket, said } = line(token);
  assert.equal(await said, "open");
  const gone = new Promise((resolve) => socket.on("close", resolve));
  await wallet.lock();
  await gone;
  assert.match(await knock(token), /503/);
  await wallet.unlock();
});

test("every method of every service answers, and one that does nothing here says so", async () => {
  const token = await signIn(wallet, "org.example.curious", "openid halo:spaces");
  const client = await connect(token);
  let asked = 0;
  for (const [name, service] of Object.entries(client.services.services)) {
    const descriptor = client.services.descriptors[name];
    for (const method of descriptor.serviceProto.methodsArray) {
      asked += 1;
      const call = service[method.name[0].toLowerCase() + method.name.slice(1)].bind(service);
      let said;
      if (method.responseStream) {
        const stream = call({});
        said = await new Promise((resolve) => {
          stream.subscribe(() => resolve("ok"), (error) => resolve(error?.message ?? "ok"));
          stream.waitUntilReady().then(() => resolve("ok"));
        });
        await stream.close();
      } else {
        said = await call({}, { timeout: 30_000 }).then(() => "ok", (error) => error.message);
      }
      assert.ok(said && !/timed? ?out/i.test(said), `${name}.${method.name} said ${said}`);
    }
  }
  assert.ok(asked > 60, `${asked} methods were asked`);
  // And the line still stands.
  assert.match(client.halo.identity.get().did, /^did:halo:/);
  await client.services.services.IdentityService.createIdentity({});
  await leave(client);
});
