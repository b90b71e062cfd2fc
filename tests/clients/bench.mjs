// What an app and a user wait for: the start of a daemon, a token, an unlock. One JSON row a figure on standard output;
// `cargo xtask bench start login unlock` reads them. Wants HALO_BIN, and for "start" a session bus with an unlocked
// Secret Service.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { Agent, request as send } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import * as client from "openid-client";

import { Wallet } from "./wallet.mjs";

const HALO = process.env.HALO_BIN;
const STARTS = 25;
const TOKENS = 500;
const UNLOCKS = 7;

const sorted = (figures) => figures.toSorted((a, b) => a - b);
const median = (figures) => sorted(figures)[Math.floor(figures.length / 2)];
const ninth = (figures) => sorted(figures)[Math.floor(figures.length * 0.9)];
const row = (name, ours, unit = "ms") => console.log(JSON.stringify({ name, ours: Number(ours.toFixed(2)), unit }));
const now = () => performance.now();

/** A daemon until it serves: how long that took, and what its first line said. */
async function serve(env) {
  const began = now();
  const daemon = spawn(HALO, ["daemon", "--listen-port", "0"], { env, stdio: ["ignore", "pipe", "inherit"] });
  const [line] = await once(createInterface({ input: daemon.stdout }), "line");
  return { took: now() - began, daemon, ready: JSON.parse(line) };
}

async function end(daemon) {
  const ended = once(daemon, "exit");
  daemon.kill("SIGTERM");
  await ended;
}

async function start() {
  const dir = await mkdtemp(join(tmpdir(), "halo-"));
  const env = { ...process.env, HALO_PROFILE: join(dir, "p"), XDG_RUNTIME_DIR: dir };
  try {
    const init = spawn(HALO, ["--json", "init", "--name", "Bench", "--keychain", "os"], { env, stdio: ["ignore", "ignore", "inherit"] });
    const [code] = await once(init, "exit");
    if (code !== 0) throw new Error(`halo init ended with ${code}`);
    const took = [];
    let memory = 0;
    for (let turn = 0; turn < STARTS; turn += 1) {
      const { took: one, daemon, ready } = await serve(env);
      took.push(one);
      // Idle is what is left when everything that start-up set off has come to rest.
      if (turn === STARTS - 1) {
        await new Promise((resolve) => setTimeout(resolve, 3000));
        const status = await readFile(`/proc/${ready.pid}/status`, "utf8");
        memory = Number(/VmRSS:\s+(\d+)/.exec(status)[1]) / 1024;
      }
      await end(daemon);
    }
    row("start: process to serving, median", median(took));
    row("start: process to serving, 9 of 10", ninth(took));
    row("start: daemon at rest, RSS", memory, "MiB");
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** Posts a form over a kept connection. */
function post(agent, url, form) {
  const body = new URLSearchParams(form).toString();
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/x-www-form-urlencoded", "content-length": Buffer.byteLength(body) };
    const asked = send(url, { method: "POST", agent, headers }, (answer) => {
      let text = "";
      answer.setEncoding("utf8");
      answer.on("data", (chunk) => (text += chunk));
      answer.on("end", () => (answer.statusCode === 200 ? resolve(JSON.parse(text)) : reject(new Error(text))));
    });
    asked.on("error", reject);
    asked.end(body);
  });
}

async function login() {
  const wallet = await Wallet.start();
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  try {
    const config = await client.discovery(new URL(wallet.issuer), "org.example.bench", undefined, client.None(), {
      execute: [client.allowInsecureRequests],
    });
    const asked = await client.initiateBackchannelAuthentication(config, { scope: "openid profile", login_hint: "bench" });
    await wallet.approve(await wallet.request());
    const tokens = await client.pollBackchannelAuthenticationGrant(config, asked);
    const endpoint = config.serverMetadata().token_endpoint;
    const rounds = [];
    let refresh = tokens.refresh_token;
    for (let turn = 0; turn < TOKENS; turn += 1) {
      const began = now();
      const answer = await post(agent, endpoint, { grant_type: "refresh_token", refresh_token: refresh, client_id: "org.example.bench" });
      rounds.push(now() - began);
      refresh = answer.refresh_token;
    }
    row("login: token round trip with a grant, median", median(rounds));
    row("login: token round trip with a grant, 9 of 10", ninth(rounds));
  } finally {
    agent.destroy();
    await wallet.end();
  }
}

/** One request over the control socket. */
function control(path, method, params) {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => socket.write(`${JSON.stringify({ id: 1, method, params })}\n`));
    socket.on("error", reject);
    createInterface({ input: socket }).once("line", (line) => {
      socket.end();
      const { result, error } = JSON.parse(line);
      if (error) reject(new Error(error.message));
      else resolve(result);
    });
  });
}

async function unlock() {
  Object.assign(process.env, { HALO_LOG: "halo_keystore=debug", NO_COLOR: "1" });
  const derived = [];
  const wallet = await Wallet.start({ log: (line) => derived.push(Number(/took_us=(\d+)/.exec(line)?.[1] ?? 0) / 1000) });
  try {
    const socket = await wallet.controlSocket();
    const totals = [];
    for (let turn = 0; turn < UNLOCKS; turn += 1) {
      await control(socket, "lock", {});
      derived.length = 0;
      const began = now();
      await control(socket, "unlock", { passphrase: Wallet.passphrase });
      const took = now() - began;
      totals.push({ rest: took - Math.max(...derived), derived: Math.max(...derived) });
    }
    row("unlock: key derivation, median", median(totals.map(({ derived }) => derived)));
    row("unlock: everything else, median", median(totals.map(({ rest }) => rest)));
  } finally {
    await wallet.end();
  }
}

const benches = { start, login, unlock };
for (const name of process.argv.slice(2)) await benches[name]();
