// What a device needs to take in what another one of the user wrote while it was away: two real daemons and a real KUBE on
// loopback, from unlocked to everything stored and indexed. One JSON row a figure on standard output; `cargo xtask bench
// echo` reads them. Wants HALO_BIN, with `kube` beside it; HALO_BENCH_ITEMS for a smaller run.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { app, link, startKube } from "./two.mjs";
import { Wallet } from "./wallet.mjs";

const ITEMS = Number(process.env.HALO_BENCH_ITEMS ?? 100_000);
const TASK = "example.org/type/Task:0.1.0";
/** How many items are in a block, and in how many blocks. */
const LOADS = [
  [1, ITEMS / 5],
  [1000, ITEMS / 1000],
];
/** So many calls are on their way at a time. */
const AT_ONCE = 50;

const dir = await mkdtemp(join(tmpdir(), "halo-ingest-"));
const kube = await startKube(dir);
// One for both: an app looks for its wallet by the profile.
process.env.XDG_RUNTIME_DIR = dir;
const writer = await Wallet.start({ options: ["--lan", "off", "--kube", kube.url], runtimeDir: dir });
const reader = await Wallet.start({ name: null, options: ["--lan", "off"], runtimeDir: dir });
try {
  const { halo, spaces } = await app(writer, dir, "writer.json");
  const { items } = await spaces.create("Tasks");
  await link(writer, reader);
  for (const [size, blocks] of LOADS) {
    await reader.stop();
    const block = (number) => Array.from({ length: size }, (_, at) => ({ title: `task ${number * size + at}`, done: false }));
    for (let number = 0; number < blocks; number += AT_ONCE) {
      const some = Math.min(AT_ONCE, blocks - number);
      await Promise.all(Array.from({ length: some }, (_, at) => items.createAll(TASK, block(number + at))));
    }
    await reader.serve(0);
    const began = performance.now();
    const sync = reader.sync();
    await sync.until(({ peers }) => peers[0]?.in_step);
    const seconds = (performance.now() - began) / 1000;
    sync.end();
    const name = `echo: ingest of ${blocks} blocks of ${size} new items each, stored and indexed, network included`;
    console.log(JSON.stringify({ name, ours: Math.round((blocks * size) / seconds), unit: "items/s" }));
  }
  halo.close();
} finally {
  await writer.end();
  await reader.end();
  kube.end();
  await rm(dir, { recursive: true, force: true });
}
process.exit(0);
