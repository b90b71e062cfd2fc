// One and the same script of an unmodified client, first on DXOS's own host, then on HALO. One JSON row a figure on
// standard output; `cargo xtask bench dxos` reads them. DXOS's host needs one native module: `npm rebuild fs-ext`.
//
// Beside what an app waits for stands the processor time that the clients themselves took meanwhile (both are in one process): where
// the two are about the same, no host could be faster. Where that time goes is said on standard error.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
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
const CLIENT = "of it the clients' own processor time";

/** Milliseconds by the clock, and of this process's processor. */
function stopwatch() {
  const [began, busy] = [now(), process.cpuUsage()];
  return () => {
    const { user, system } = process.cpuUsage(busy);
    return { clock: now() - began, processor: (user + system) / 1000 };
  };
}

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
  const note = (name, { clock, processor }) => {
    figures[name] = clock;
    figures[`${name}; ${CLIENT}`] = processor;
  };
  const { client } = await connect(url, token);
  const { client: second, initialized } = await connect(url, token);
  figures["second client: initialize"] = initialized;

  let time = stopwatch();
  const space = await client.spaces.create();
  await space.waitUntilReady();
  note("create space until ready", time());

  time = stopwatch();
  const tasks = [];
  for (let number = 0; number < ADDS; number += 1) tasks.push(space.db.add(live(Task, { title: `Task ${number}`, rank: number })));
  figures[`add ${ADDS} objects: until the client itself is done`] = time().clock;
  await space.db.flush();
  note(`add ${ADDS} objects and flush`, time());

  const several = async (name, turn) => {
    const all = [];
    for (let number = 0; number < EDITS; number += 1) all.push(await turn(number));
    note(name, { clock: median(all.map(({ clock }) => clock)), processor: median(all.map(({ processor }) => processor)) });
  };
  await several("edit one object and flush, median", async (turn) => {
    const time = stopwatch();
    tasks[turn].title = `Edit ${turn}`;
    await space.db.flush();
    return time();
  });

  const there = await until(second, space.id);
  await there.waitUntilReady();
  time = stopwatch();
  const { objects } = await there.db.query(Query.type(Task)).run();
  note(`query of ${ADDS} objects, by a client that has none of them`, time());
  if (objects.length !== ADDS) throw new Error(`${objects.length} objects were found`);

  const theirs = objects.find(({ id }) => id === tasks[0].id);
  await several("edit seen by the second client, median", async (turn) => {
    const title = `Seen ${turn}`;
    const time = stopwatch();
    tasks[0].title = title;
    // Sleeps between two looks, so that looking does not count as the client's work.
    while (theirs.title !== title) await new Promise((resolve) => setTimeout(resolve, 1));
    return time();
  });
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

/** Where a profile's time went, by package, largest first. */
async function profiled(folder) {
  const [file] = (await readdir(folder)).filter((name) => name.endsWith(".cpuprofile"));
  if (!file) return [];
  const { nodes, samples, timeDeltas } = JSON.parse(await readFile(join(folder, file), "utf8"));
  const of = new Map(nodes.map(({ id, callFrame: { url, functionName } }) => {
    if (functionName === "(idle)") return [id, "waiting"];
    if (functionName === "(garbage collector)") return [id, "garbage collection"];
    const [, name] = url.match(/node_modules\/((?:@[^/]+\/)?[^/]+)(?!.*node_modules)/) ?? [];
    if (/wasm/.test(url)) return [id, name ?? "@automerge/automerge"];
    return [id, name ?? "node"];
  }));
  const times = new Map();
  samples.forEach((id, at) => times.set(of.get(id), (times.get(of.get(id)) ?? 0) + timeDeltas[at] / 1000));
  return [...times].toSorted(([, a], [, b]) => b - a);
}

/** A run in a process of its own. DXOS's own host loses about a third of its sessions to a race, and is tried again. */
async function run(which, tries) {
  for (let turn = 1; turn <= tries; turn += 1) {
    const folder = await mkdtemp(join(tmpdir(), "halo-bench-"));
    const profile = process.env.HALO_BENCH_PROFILE ? ["--cpu-prof", "--cpu-prof-dir", folder] : [];
    try {
      const child = spawn(process.execPath, [...profile, fileURLToPath(import.meta.url), which], { stdio: ["ignore", "pipe", "pipe"] });
      let [out, error] = ["", ""];
      child.stdout.on("data", (chunk) => (out += chunk));
      child.stderr.on("data", (chunk) => (error += chunk));
      const [code] = await once(child, "close");
      if (code === 0) {
        for (const [name, time] of (await profiled(folder)).slice(0, 8)) console.error(`${which}: the client spends ${time.toFixed(0)} ms in ${name}`);
        return JSON.parse(out.trim().split("\n").at(-1));
      }
      console.error(`${which}, try ${turn}: ${error.trim().split("\n").find((line) => /rror/.test(line)) ?? code}`);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }
  throw new Error(`${which} did not come through in ${tries} tries`);
}

const peer = await run("dxos", 40);
const ours = await run("halo", 1);
for (const [name, figure] of Object.entries(ours)) {
  console.log(JSON.stringify({ name: `dxos: ${name}`, ours: Number(figure.toFixed(1)), peer: Number(peer[name].toFixed(1)), unit: "ms" }));
}
process.exit(0);
