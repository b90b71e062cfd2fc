// Two clients of DXOS's own in one process, with signalling in memory: how long a device takes to join with a code, and how
// long a write takes to be seen at the other. One JSON value on standard output; `tests/clients/mesh.mjs` reads it.

import { Client } from "@dxos/client";
import { Filter, live } from "@dxos/client/echo";
import { Invitation } from "@dxos/client/invitations";
import { performInvitation, TestBuilder } from "@dxos/client/testing";

import { Task } from "./app.mjs";

const JOINS = 3;
const EDITS = 25;
const now = () => performance.now();
const median = (figures) => figures.toSorted((a, b) => a - b)[Math.floor(figures.length / 2)];

const joins = [];
let pair;
for (let turn = 0; turn < JOINS; turn += 1) {
  const builder = new TestBuilder();
  const [host, guest] = [0, 1].map(() => new Client({ services: builder.createLocalClientServices() }));
  await host.initialize();
  await guest.initialize();
  await host.halo.createIdentity({ displayName: "Bench" });
  const began = now();
  const outcomes = await Promise.all(
    performInvitation({ host: host.halo, guest: guest.halo, options: { authMethod: Invitation.AuthMethod.SHARED_SECRET } }),
  );
  for (const { error } of outcomes) if (error) throw error;
  joins.push(now() - began);
  pair = [host, guest];
}

const [host, guest] = pair;
for (const client of pair) client.addTypes([Task]);
const here = await host.spaces.create();
await here.waitUntilReady();
let there;
while (!there) {
  there = guest.spaces.get(here.key);
  if (!there) await new Promise((resolve) => setTimeout(resolve, 10));
}
await there.waitUntilReady();
const task = here.db.add(live(Task, { title: "before", rank: 0 }));
await here.db.flush();

/** Resolves when the other client's query shows this title. */
let hear = () => {};
there.db.query(Filter.type(Task)).subscribe(({ objects }) => hear(objects), { fire: true });
const seen = (title) =>
  new Promise((resolve) => {
    hear = (objects) => objects.some((object) => object.title === title) && resolve(now());
  });
const edits = [];
for (let turn = 0; turn < EDITS; turn += 1) {
  const arrives = seen(`Edit ${turn}`);
  // A query tells of objects that come; an object tells of itself.
  const poll = setInterval(async () => hear((await there.db.query(Filter.type(Task)).run()).objects), 2);
  const began = now();
  task.title = `Edit ${turn}`;
  edits.push((await arrives) - began);
  clearInterval(poll);
}
console.log(JSON.stringify({ join: median(joins), edit: median(edits) }));
process.exit(0);
