// One and the same script of an unmodified client, first on DXOS's own host, then on HALO. One JSON row a figure on
// standard output; `cargo xtask bench dxos` reads them. DXOS's host needs one native module: `npm rebuild fs-ext`.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { Client, fromSocket } from "@dxos/client";
import { Query, live } from "@dxos/client/echo";

import { Task } from "./app.mjs";
import { services, signIn, Wallet } from "./signin.mjs";

const ADDS = Number(process.env.HALO_BENCH_ADDS ?? 1000);
const EDITS = 25;

const now = () => performance.now();
const median = (figures) => figures.toSorted((a, b) => a - b)[Math.floor(figures.length / 2)];

async function connect(url, token) {
  const client = new Client({ services: fromSocket(url, token) });
  const began = now();
  await client.initialize();
  const initialized = now() - began;
  client.addTypes([Task]);
  if (!client.halo.identity.get()) await client.halo.createIdentity({ displayName: "Bench" });
  await client.spaces.waitUntilReady();
  return { client, initialized };
}

/** What an app does and waits for, in milliseconds. */
async function script(url, token) {
  const figures = {};
  const { client } = await connect(url, token);
  const { client: second, initialized } = await connect(url, token);
  figures["second client: initialize"] = initialized;

  let began = now();
  const space = await client.spaces.create();
  await space.waitUntilReady();
  figures["create space until ready"] = now() - began;

  began = now();
  const tasks = [];
  for (let number = 0; number < ADDS; number += 1) tasks.push(space.db.add(live(Task, { title: `Task ${number}`, rank: number })));
  figures[`add ${ADDS} objects: the client alone`] = now() - began;
  await space.db.flush();
  figures[`add ${ADDS} objects and flush`] = now() - began;

  const edits = [];
  for (let turn = 0; turn < EDITS; turn += 1) {
    began = now();
    tasks[turn].title = `Edit ${turn}`;
    await space.db.flush();
    edits.push(now() - began);
  }
  figures["edit one object and flush, median"] = median(edits);

  const there = await until(second, space.id);
  await there.waitUntilReady();
  began = now();
  const { objects } = await there.db.query(Query.type(Task)).run();
  figures[`query of ${ADDS} objects, by a client that has none of them`] = now() - began;
  if (objects.length !== ADDS) throw new Error(`${objects.length} objects were found`);

  const seen = [];
  const theirs = objects.find(({ id }) => id === tasks[0].id);
  for (let turn = 0; turn < EDITS; turn += 1) {
    const title = `Seen ${turn}`;
    began = now();
    tasks[0].title = title;
    while (theirs.title !== title) await new Promise((resolve) => setImmediate(resolve));
    seen.push(now() - began);
  }
  figures["edit seen by the second client, median"] = median(seen);
  await second.destroy();
  await client.destroy();
  return figures;
}

function until(client, id) {
  const found = client.spaces.get(id);
  if (found) return found;
  return new Promise((resolve) => {
    const subscription = client.spaces.subscribe((spaces) => {
      const space = spaces.find((space) => space.id === id);
      if (!space) return;
      queueMicrotask(() => subscription.unsubscribe());
      resolve(space);
    });
  });
}

/** DXOS's host, in a process of its own as HALO is. */
async function dxos() {
  const host = spawn(process.execPath, [fileURLToPath(new URL("dxos-host.mjs", import.meta.url))], {
    stdio: ["pipe", "pipe", "ignore"],
  });
  const [line] = await once(createInterface({ input: host.stdout }), "line");
  try {
    return await script(line);
  } finally {
    host.kill("SIGKILL");
  }
}

async function halo() {
  const wallet = await Wallet.start();
  try {
    return await script(services(wallet), await signIn(wallet));
  } finally {
    await wallet.end();
  }
}

const [only] = process.argv.slice(2);
if (only) {
  console.log(JSON.stringify(await (only === "dxos" ? dxos() : halo())));
  process.exit(0);
}

/** A run in a process of its own. DXOS's own host loses about a third of its sessions to a race, and is tried again. */
async function run(which, tries) {
  for (let turn = 1; turn <= tries; turn += 1) {
    const child = spawn(process.execPath, [fileURLToPath(import.meta.url), which], { stdio: ["ignore", "pipe", "pipe"] });
    let [out, error] = ["", ""];
    child.stdout.on("data", (chunk) => (out += chunk));
    child.stderr.on("data", (chunk) => (error += chunk));
    const [code] = await once(child, "close");
    if (code === 0) return JSON.parse(out.trim().split("\n").at(-1));
    console.error(`${which}, try ${turn}: ${error.trim().split("\n").find((line) => /rror/.test(line)) ?? code}`);
  }
  throw new Error(`${which} did not come through in ${tries} tries`);
}

const peer = await run("dxos", 10);
const ours = await run("halo", 1);
for (const [name, figure] of Object.entries(ours)) {
  console.log(JSON.stringify({ name: `dxos: ${name}`, ours: Number(figure.toFixed(1)), peer: Number(peer[name].toFixed(1)), unit: "ms" }));
}
process.exit(0);
