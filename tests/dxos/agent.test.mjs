// An unmodified client that looks for DXOS's agent, and finds HALO there: `fromAgent`, without a token.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { rm } from "node:fs/promises";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { Client, fromAgent } from "@dxos/client";
import { live, Query } from "@dxos/client/echo";

import { Task } from "./app.mjs";
import { leave, Wallet } from "./signin.mjs";

// A folder of its own among those that DXOS's clients look into.
const profile = `halo-test-${process.pid}`;
let wallet;

before(async () => {
  process.env.DX_PROFILE = profile;
  wallet = await Wallet.start({ name: "Ada" });
});
after(async () => {
  await wallet?.end();
  await rm(`/tmp/dx/run/profile/${profile}`, { recursive: true, force: true });
});

async function connect() {
  const client = new Client({ services: fromAgent({ profile }) });
  await client.initialize();
  client.addTypes([Task]);
  await client.spaces.waitUntilReady();
  return client;
}

test("nobody is there until the user switches it on", async () => {
  await assert.rejects(fromAgent({ profile }).open(), /ENOENT|ECONNREFUSED|connect/);
  const settings = await wallet.run(["settings", "set", "--dxos-agent", "on"]);
  assert.equal(settings.dxos_agent, true);
});

test("the first connection asks the user, the next one does not, and what was written is there", async () => {
  const asking = connect();
  const request = await wallet.request();
  assert.equal(request.app.kind, "native");
  assert.equal(request.app.process.path, request.app.client_id, "it is known by its executable");
  await wallet.approve(request);
  const client = await asking;
  assert.match(client.halo.identity.get().did, /^did:halo:/);
  assert.equal(client.halo.identity.get().profile.displayName, "Ada");
  const space = client.spaces.default;
  await space.waitUntilReady();
  space.db.add(live(Task, { title: "From the agent" }));
  await space.db.flush();
  await leave(client);

  const again = await connect();
  await again.spaces.default.waitUntilReady();
  const { objects } = await again.spaces.default.db.query(Query.type(Task)).run();
  assert.deepEqual(objects.map(({ title }) => title), ["From the agent"]);
  // The same executable in another process is the same app.
  const child = spawn(process.execPath, [fileURLToPath(new URL("agent-child.mjs", import.meta.url))], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let out = "";
  child.stdout.on("data", (chunk) => (out += chunk));
  await once(child, "close");
  assert.match(out, /From the agent/);
  await leave(again);
});

test("a revoked program is asked about again; a no is a no; switched off, nobody is there", async () => {
  const [app] = await wallet.apps();
  await wallet.run(["apps", "revoke", app.id]);
  // A process of its own: DXOS's client knocks again for as long as it lives.
  const child = spawn(process.execPath, [fileURLToPath(new URL("agent-child.mjs", import.meta.url))], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let out = "";
  const refused = new Promise((resolve) => {
    const hear = (chunk) => {
      out += chunk;
      if (/403/.test(out)) resolve();
    };
    for (const stream of [child.stdout, child.stderr]) stream.on("data", hear);
  });
  await wallet.deny(await wallet.request());
  await Promise.race([refused, once(child, "close")]);
  child.kill("SIGKILL");
  assert.match(out, /403/);
  assert.doesNotMatch(out, /From the agent/);
  await wallet.run(["settings", "set", "--dxos-agent", "off"]);
  await assert.rejects(fromAgent({ profile }).open(), /ENOENT|ECONNREFUSED|connect/);
});
