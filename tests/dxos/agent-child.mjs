// Another process that finds HALO as its agent: says the titles of its tasks. For `agent.test.mjs`.

import { Client, fromAgent } from "@dxos/client";
import { Query } from "@dxos/client/echo";

import { Task } from "./app.mjs";

const client = new Client({ services: fromAgent() });
await client.initialize();
client.addTypes([Task]);
await client.spaces.waitUntilReady();
await client.spaces.default.waitUntilReady();
const { objects } = await client.spaces.default.db.query(Query.type(Task)).run();
console.log(JSON.stringify(objects.map(({ title }) => title)));
await client.destroy();
process.exit(0);
