// A real wallet in a fresh profile, and a user who answers at the command line.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const target = process.env.CARGO_TARGET_DIR ?? fileURLToPath(new URL("../../target", import.meta.url));
const HALO = process.env.HALO_BIN ?? join(target, "debug", "halo");
const PASSPHRASE = "correct horse battery staple";

export class Wallet {
  #dir;
  #env;
  #daemon;
  #watch;
  #waiting = [];
  #listeners = new Set();
  #seen = new Set();
  #log;
  #options = [];

  static passphrase = PASSPHRASE;

  /**
   * Creates an identity and serves it; `port` 0 is any free one, `log` hears each line of the daemon's log, `options` are
   * the daemon's. Without a name there is no identity yet. Sockets are in `runtimeDir`, which wallets can share.
   */
  static async start({ name = "Ada", port = 0, log, options = [], runtimeDir } = {}) {
    const wallet = new Wallet();
    wallet.#log = log;
    wallet.#options = options;
    // Short: the path of a Unix socket has room for about a hundred bytes.
    wallet.#dir = await mkdtemp(join(tmpdir(), "halo-"));
    wallet.#env = { ...process.env, HALO_PROFILE: join(wallet.#dir, "p"), XDG_RUNTIME_DIR: runtimeDir ?? wallet.#dir };
    try {
      if (name) wallet.identity = await wallet.run(["init", "--name", name, "--keychain", "none", "--passphrase-stdin"], PASSPHRASE);
      await wallet.serve(port);
    } catch (error) {
      await wallet.end();
      throw error;
    }
    return wallet;
  }

  /** What a program needs to find it. */
  get profile() {
    return this.#env.HALO_PROFILE;
  }
  get runtimeDir() {
    return this.#env.XDG_RUNTIME_DIR;
  }

  /** Its control socket, which the `halo` command uses. */
  async controlSocket() {
    const found = await readdir(join(this.#dir, "halo"), { recursive: true });
    return join(this.#dir, "halo", found.find((path) => path.endsWith("control.sock")));
  }

  async serve(port = this.port) {
    this.#daemon = spawn(HALO, ["daemon", "--listen-port", String(port), ...this.#options], {
      env: this.#env,
      stdio: ["ignore", "pipe", this.#log ? "pipe" : "inherit"],
    });
    if (this.#log) createInterface({ input: this.#daemon.stderr }).on("line", this.#log);
    const lines = createInterface({ input: this.#daemon.stdout });
    const [line] = await Promise.race([
      once(lines, "line"),
      once(this.#daemon, "exit").then(([code]) => {
        throw new Error(`the daemon ended with ${code} before it served`);
      }),
    ]);
    const { broker_url, pid } = JSON.parse(line);
    this.pid = pid;
    this.issuer = broker_url;
    this.port = Number(new URL(broker_url).port);
    if ((await this.run(["status"])).state === "empty") return;
    await this.unlock();
    await this.#watchRequests();
  }

  async stop() {
    const ended = this.#daemon && this.#daemon.exitCode === null ? once(this.#daemon, "exit") : undefined;
    this.#watch?.kill();
    this.#daemon?.kill("SIGTERM");
    await ended;
  }

  async restart() {
    await this.stop();
    await this.serve();
  }

  /** Stops it and removes the profile. */
  async end() {
    await this.stop();
    await rm(this.#dir, { recursive: true, force: true });
  }

  unlock() {
    return this.run(["unlock", "--passphrase-stdin"], PASSPHRASE);
  }
  lock() {
    return this.run(["lock"]);
  }
  apps() {
    return this.run(["apps", "list"]);
  }
  async revoke(origin) {
    const app = (await this.apps()).find((app) => app.origin === origin || app.client_id === origin);
    await this.run(["apps", "revoke", app.id]);
  }
  approve(request, { words, identity = false } = {}) {
    const options = [...(words ? ["--words", words.join(" ")] : []), ...(identity ? ["--identity"] : [])];
    return this.run(["requests", "approve", request.id, ...options]);
  }
  deny(request) {
    return this.run(["requests", "deny", request.id]);
  }

  /** The next request that nobody has been told of yet. */
  async request() {
    for (;;) {
      const fresh = this.#waiting.find((request) => !this.#seen.has(request.id));
      if (fresh) {
        this.#seen.add(fresh.id);
        return fresh;
      }
      await new Promise((resolve) => this.#listeners.add(resolve));
    }
  }

  /** How many requests there have been. */
  get asked() {
    return this.#seen.size;
  }

  /** A new device with its digits on its screen, once it has joined by this link: what it says, line by line. */
  join(url, label) {
    const args = ["devices", "join", url, "--name", label, "--keychain", "none", "--passphrase-stdin"];
    return this.#says(args, PASSPHRASE);
  }
  /** The trusted device's end. */
  invite() {
    return this.#says(["devices", "invite"]);
  }
  /** How devices stand to each other, line by line. */
  sync() {
    return this.#says(["sync", "status", "--watch"]);
  }
  /** After joining: there are requests now. */
  async joined() {
    await this.#watchRequests();
  }

  /** A command that says one JSON line after the other. */
  #says(args, input) {
    const child = spawn(HALO, ["--json", ...args], { env: this.#env, stdio: ["pipe", "pipe", "inherit"] });
    if (input) child.stdin.write(`${input}\n`);
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    return {
      type: (line) => child.stdin.write(`${line}\n`),
      end: () => child.kill(),
      async until(wanted) {
        for (;;) {
          const { value, done } = await lines.next();
          if (done) throw new Error(`halo ${args.join(" ")} ended too soon`);
          const said = JSON.parse(value);
          if (wanted(said)) return said;
        }
      },
    };
  }

  async #watchRequests() {
    this.#watch = spawn(HALO, ["--json", "requests", "watch"], { env: this.#env, stdio: ["ignore", "pipe", "inherit"] });
    const lines = createInterface({ input: this.#watch.stdout });
    const first = once(lines, "line");
    lines.on("line", (line) => {
      this.#waiting = JSON.parse(line);
      for (const tell of this.#listeners) tell();
      this.#listeners.clear();
    });
    await first;
  }

  /** Runs one command and reads its answer. */
  async run(args, input) {
    const child = spawn(HALO, ["--json", ...args], { env: this.#env, stdio: [input ? "pipe" : "ignore", "pipe", "pipe"] });
    child.stdin?.end(`${input}\n`);
    let out = "";
    let error = "";
    child.stdout.on("data", (chunk) => (out += chunk));
    child.stderr.on("data", (chunk) => (error += chunk));
    const [code] = await once(child, "close");
    if (code !== 0) throw new Error(`halo ${args.join(" ")} ended with ${code}: ${error}`);
    return JSON.parse(out);
  }
}
