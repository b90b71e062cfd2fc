import { Client, fromSocket } from "@dxos/client"; import { Filter, Query, live } from "@dxos/client/echo";
import { Task } from "./app.mjs"; import { Wallet, signIn, services } from "./signin.mjs";
const wallet = await Wallet.start(); const token = await signIn(wallet);
const client = new Client({ services: fromSocket(services(wallet), token) }); await client.initialize(); client.addTypes([Task]); await client.spaces.waitUntilReady();
let t=performance.now(); const lap=(n)=>{const x=performance.now(); console.log(n,(x-t).toFixed(1)); t=performance.now();};
const space = await client.spaces.create(); await space.waitUntilReady(); lap("create space");
let first; for (let i=0;i<1000;i++) { const o=space.db.add(live(Task,{title:`T ${i}`,rank:i})); first??=o; } lap("adds"); await space.db.flush(); lap("add 1000+flush");
for (let i=0;i<10;i++){ first.title="x"+i; await space.db.flush(); lap("edit+flush"); }
const r=await space.db.query(Query.type(Task)).run(); lap("query "+r.objects.length);
await client.destroy(); await wallet.end(); process.exit(0);
