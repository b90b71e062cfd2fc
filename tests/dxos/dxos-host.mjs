// DXOS's own host behind a WebSocket, for `bench.mjs` to compare with. Its first line is its address.

import { connect } from "node:net";

import { Client } from "@dxos/client";
import { WebsocketRpcServer } from "@dxos/websocket-rpc";

// Ends with whoever started it.
process.stdin.resume().on("end", () => process.exit(0));

const client = new Client();
await client.initialize();
await client.halo.createIdentity({ displayName: "Bench" });
await client.spaces.waitUntilReady();
const { descriptors, services } = client.services;

/**
 * The host knows of a subscription a moment after it answered, and refuses what is said of it before: most sessions
 * would end there. Here such a call is made again.
 */
const patient = new Proxy(services.DataService, {
  get(target, name) {
    const method = target[name];
    if (typeof method !== "function") return method;
    if (name !== "updateSubscription" && name !== "update") return method.bind(target);
    return async (...request) => {
      for (let turn = 1; ; turn += 1) {
        try {
          return await method.apply(target, request);
        } catch (error) {
          if (turn === 1000 || !/Subscription not found/.test(error.message)) throw error;
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
      }
    };
  },
});
const port = 20_000 + (process.pid % 20_000);
const server = new WebsocketRpcServer({
  port,
  host: "127.0.0.1",
  onConnection: async () => ({ exposed: descriptors, handlers: { ...services, DataService: patient } }),
});
await server.open();
// `open` returns before the socket listens.
const listening = () =>
  new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => resolve(socket.destroy() && true)).on("error", () => resolve(false));
  });
while (!(await listening()));
console.log(`ws://127.0.0.1:${port}`);
