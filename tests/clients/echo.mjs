// What apps wait for that keep data with the user: a real daemon, the SDK's line to it, 100,000 items in one space; where
// the work is the same, a stock Automerge Repo on files in the same run. One JSON row a figure on standard output;
// `cargo xtask bench echo` reads them. Wants HALO_BIN; HALO_BENCH_ITEMS for a smaller run.

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Repo } from "@automerge/automerge-repo";
import { NodeFSStorageAdapter } from "@automerge/automerge-repo-storage-nodefs";
import { fileStorage, HaloNative } from "@halo-wallet/sdk/node";

import { app } from "./two.mjs";
import { Wallet } from "./wallet.mjs";

const ITEMS = Number(process.env.HALO_BENCH_ITEMS ?? 100_000);
const BATCH = 1000;
const ROUNDS = 101;
const TASK = "example.org/type/Task:0.1.0";
const WORDS = ["milk", "bread", "stamps", "paper", "coffee", "apples", "letters"];

const now = () => performance.now();
const sorted = (figures) => figures.toSorted((a, b) => a - b);
const median = (figures) => sorted(figures)[Math.floor(figures.length / 2)];
const ninth = (figures) => sorted(figures)[Math.floor(figures.length * 0.9)];

function row(name, ours, unit, peer) {
  const figure = (value) => Number(value.toFixed(2));
  console.log(JSON.stringify({ name: `echo: ${name}`, ours: figure(ours), unit, ...(peer === undefined ? {} : { peer: figure(peer) }) }));
}

const task = (number) => ({
  title: `${WORDS[number % 7]} and ${WORDS[Math.floor(number / 7) % 7]} number ${number}`,
  project: `project ${number % (ITEMS / 100)}`,
  priority: number % 5,
  done: number % 3 === 0,
  note: number % (ITEMS / 100) === 7 ? "the needle in it" : "nothing of note",
});

/** How long each of many turns took. */
async function timed(turns, work) {
  const took = [];
  for (let turn = 0; turn < turns; turn += 1) {
    const began = now();
    await work(turn);
    took.push(now() - began);
  }
  return took;
}

/** Documents of a stock Repo on files: one after the other and many at once, each on disk. */
async function repo() {
  const dir = await mkdtemp(join(tmpdir(), "halo-repo-"));
  const repo = new Repo({ storage: new NodeFSStorageAdapter(dir) });
  try {
    const add = (number) => repo.create(task(number)).documentId;
    const one = await timed(ROUNDS, (turn) => repo.flush([add(turn)]));
    const began = now();
    await repo.flush(Array.from({ length: BATCH }, (_, number) => add(number)));
    return { one, bulk: BATCH / ((now() - began) / 1000) };
  } finally {
    await repo.shutdown();
    await rm(dir, { recursive: true, force: true });
  }
}

async function memory(pid) {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+)/.exec(status)[1]) / 1024;
}

const peer = await repo();
const [wallet, dir] = await Promise.all([Wallet.start(), mkdtemp(join(tmpdir(), "halo-app-"))]);
process.env.XDG_RUNTIME_DIR = wallet.runtimeDir;
try {
  const { spaces } = await app(wallet, dir, "bench.json");
  const { items } = await spaces.create("Tasks");

  let began = now();
  for (let batch = 0; batch < ITEMS / BATCH; batch += 1) {
    await items.createAll(TASK, Array.from({ length: BATCH }, (_, number) => task(batch * BATCH + number)));
  }
  row("add items, 1,000 a call, durable (Automerge Repo: 1,000 documents)", ITEMS / ((now() - began) / 1000), "items/s", peer.bulk);

  const one = await timed(ROUNDS, (turn) => items.create(TASK, { ...task(turn), project: "apart" }));
  row("add one item, durable, over the line, median", median(one), "ms", median(peer.one));
  row("add one item, durable, over the line, 9 of 10", ninth(one), "ms", ninth(peer.one));

  for (const [name, query] of [
    ["by property", { where: { project: "project 7" } }],
    ["full text, one word", { text: "needle" }],
    ["full text, two words", { text: "needle noth" }],
  ]) {
    const found = (await items.query(query)).length;
    const took = await timed(ROUNDS, () => items.query(query));
    row(`query, ${name}: ${found} of ${ITEMS}, median`, median(took), "ms");
    row(`query, ${name}: ${found} of ${ITEMS}, 9 of 10`, ninth(took), "ms");
  }

  // From the answer to a write until the live query of another hundred has it.
  let heard;
  let count = 0;
  const first = new Promise((resolve) => (heard = resolve));
  const live = items.watch({ where: { project: "project 7" } }, (found) => {
    count = found.length;
    heard();
  });
  await first;
  const [updates, whole] = [[], []];
  for (let turn = 0; turn < ROUNDS; turn += 1) {
    const before = count;
    const seen = new Promise((resolve) => (heard = () => count > before && resolve(now())));
    const started = now();
    await items.create(TASK, { ...task(turn), project: "project 7" });
    const acknowledged = now();
    updates.push(Math.max(0, (await seen) - acknowledged));
    whole.push(now() - started);
  }
  live.stop();
  row("live query has the item, after the write was acknowledged, median", median(updates), "ms");
  row("live query has the item, write included, median", median(whole), "ms");
  row(`memory of the daemon with ${ITEMS} items, right after all of it`, await memory(wallet.pid), "MiB");

  await wallet.stop();
  began = now();
  await wallet.serve();
  const served = now() - began;
  const halo = new HaloNative({ clientId: "org.example.bench", profile: wallet.profile, storage: fileStorage(join(dir, "bench.json")) });
  const session = await halo.session();
  const there = await session.spaces.list();
  await there[there.length - 1].items.query({ where: { project: "project 7" } });
  row("process, unlock by passphrase, sign in again and first query", now() - began, "ms");
  row("of that, until the daemon serves and is unlocked", served, "ms");
  row(`memory of the daemon with ${ITEMS} items, opened`, await memory(wallet.pid), "MiB");
  halo.close();
} finally {
  await wallet.end();
  await rm(dir, { recursive: true, force: true });
}
process.exit(0);
