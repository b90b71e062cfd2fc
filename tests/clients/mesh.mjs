// What a user with two devices waits for: two real daemons and a real KUBE on loopback, and an app at each. One JSON row a
// figure on standard output; `cargo xtask bench mesh` reads them. Wants HALO_BIN, with `kube` beside it; HALO_BENCH_ITEMS for
// a smaller run. What DXOS's own clients take for the same is measured in the same run.

import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { app, link, startKube } from "./two.mjs";
import { Wallet } from "./wallet.mjs";

const ITEMS = Number(process.env.HALO_BENCH_ITEMS ?? 100_000);
const MISSED = ITEMS / 10;
const BATCH = 1000;
const JOINS = 5;
const ROUNDS = 101;
/** For so long the processor and the bytes of a pair that does nothing are counted. */
const IDLE = 30_000;
const TASK = "example.org/type/Task:0.1.0";

const now = () => performance.now();
const sorted = (figures) => figures.toSorted((a, b) => a - b);
const median = (figures) => sorted(figures)[Math.floor(figures.length / 2)];
const ninth = (figures) => sorted(figures)[Math.floor(figures.length * 0.9)];

function row(name, ours, unit, peer) {
  const figure = (value) => Number(value.toFixed(2));
  console.log(JSON.stringify({ name: `mesh: ${name}`, ours: figure(ours), unit, ...(peer === undefined ? {} : { peer: figure(peer) }) }));
}

async function dxos() {
  const path = fileURLToPath(new URL("../dxos/pair.mjs", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [path], { cwd: dirname(path), maxBuffer: 1 << 26 });
  return JSON.parse(stdout.trim().split("\n").at(-1));
}

const goes = async (wallet, path) => {
  const sync = wallet.sync();
  await sync.until(({ peers }) => peers[0]?.path === path);
  sync.end();
};

/** Processor time of a process so far, in seconds. */
async function busy(pid) {
  const fields = (await readFile(`/proc/${pid}/stat`, "utf8")).split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

async function bytes(wallet) {
  const [peer] = (await wallet.run(["sync", "status"])).peers;
  return peer.bytes_in + peer.bytes_out;
}

const peer = await dxos().catch((error) => {
  console.error(`DXOS's clients were not measured: ${error.message}`);
  return {};
});
const dir = await mkdtemp(join(tmpdir(), "halo-mesh-"));
const kube = await startKube(dir);
// One for all: an app looks for its wallet by the profile.
process.env.XDG_RUNTIME_DIR = dir;
const old = { options: ["--lan", "off", "--kube", kube.url], runtimeDir: dir };
const fresh = { name: null, options: ["--lan", "off"], runtimeDir: dir };
const wallets = [];
const start = async (options) => {
  const wallet = await Wallet.start(options);
  wallets.push(wallet);
  return wallet;
};
try {
  const joins = [];
  for (let turn = 0; turn < JOINS; turn += 1) {
    const [host, guest] = [await start(old), await start(fresh)];
    joins.push(await link(host, guest));
    for (const wallet of wallets.splice(0)) await wallet.end();
  }
  row("join: from digits typed to in step, empty profile, median (peer: DXOS, in one process)", median(joins), "ms", peer.join);

  const [ada, kitchen] = [await start(old), await start(fresh)];
  const here = await app(ada, dir, "here.json");
  const space = await here.spaces.create("Tasks");
  await link(ada, kitchen);
  await goes(ada, "direct");
  const there = await app(kitchen, dir, "there.json");
  const copy = (await there.spaces.list()).find(({ id }) => id === space.id) ?? (await there.spaces.list())[0];
  const task = await space.items.create(TASK, { title: "before" });
  let hear = () => {};
  const watching = copy.items.watch({}, (found) => hear(found));
  const arrival = (wanted) =>
    new Promise((resolve) => {
      hear = (found) => found.some(wanted) && resolve(now());
    });
  const [edits, additions] = [[], []];
  for (let turn = 0; turn < ROUNDS; turn += 1) {
    const seen = arrival(({ data }) => data.title === `edit ${turn}`);
    const began = now();
    await space.items.update(task.id, { title: `edit ${turn}` });
    edits.push((await seen) - began);
  }
  row("edit on one device seen by an app on the other, durable at both, median (peer: DXOS, in memory)", median(edits), "ms", peer.edit);
  row("edit on one device seen by an app on the other, durable at both, 9 of 10", ninth(edits), "ms");
  for (let turn = 0; turn < ROUNDS; turn += 1) {
    const seen = arrival(({ data }) => data.title === `new ${turn}`);
    const began = now();
    const { id } = await space.items.create(TASK, { title: `new ${turn}` });
    additions.push((await seen) - began);
    await space.items.delete(id);
  }
  row("new item on one device seen by an app on the other, median", median(additions), "ms");
  watching.stop();

  // The apps are gone meanwhile: it is the devices that do nothing.
  there.halo.close();
  const before = [await busy(ada.pid), await busy(kitchen.pid), await bytes(ada)];
  const began = now();
  await new Promise((resolve) => setTimeout(resolve, IDLE));
  const seconds = (now() - began) / 1000;
  const after = [await busy(ada.pid), await busy(kitchen.pid), await bytes(ada)];
  row("a connected pair that does nothing: processor of each", (((after[0] - before[0] + after[1] - before[1]) / 2 / seconds) * 100), "% of a core");
  row("a connected pair that does nothing: frames between them", (after[2] - before[2]) / seconds, "B/s");

  const add = async (count) => {
    for (let batch = 0; batch < Math.ceil(count / BATCH); batch += 1) {
      await space.items.createAll(TASK, Array.from({ length: BATCH }, (_, number) => ({ title: `task ${batch * BATCH + number}`, done: false })));
    }
  };
  await kitchen.stop();
  await add(MISSED);
  await kitchen.serve(0);
  const served = now();
  const sync = kitchen.sync();
  await sync.until(({ peers }) => peers[0]?.in_step);
  row(`catch up after ${MISSED} missed items, from unlocked to in step`, now() - served, "ms");
  sync.end();

  // It would be catching up itself meanwhile.
  await kitchen.stop();
  await add(ITEMS - MISSED);
  const studio = await start(fresh);
  row(`a new device: from digits typed to in step with one other, ${ITEMS} items`, (await link(ada, studio)) / 1000, "s");
} finally {
  for (const wallet of wallets) await wallet.end();
  kube.end();
  await rm(dir, { recursive: true, force: true });
}
process.exit(0);
