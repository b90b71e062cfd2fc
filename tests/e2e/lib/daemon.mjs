// A device without a window: `halo daemon` on a profile of its own, by a clock that may be wrong.

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

import { run } from './desktop.mjs';
import { until } from './until.mjs';

const HALO = process.env.HALO_BIN;

export class Daemon {
  #name;
  #env;
  #running;
  #pid;

  /** Starts one without an identity. */
  static async start(name) {
    const daemon = new Daemon();
    daemon.#name = name;
    daemon.#env = { HALO_PROFILE: mkdtempSync(join(tmpdir(), 'halo-e2e-profile-')) };
    await daemon.#serve(HALO, []);
    return daemon;
  }

  async #serve(program, args) {
    this.#running = run(`daemon-${this.#name}`, program, [...args, 'daemon', '--listen-port', '0'], this.#env);
    const lines = createInterface({ input: this.#running.child.stdout });
    const ended = this.#running.ended.then(() => Promise.reject(new Error(`the daemon of ${this.#name} ended before it served`)));
    const [line] = await Promise.race([once(lines, 'line'), ended]);
    // What sets the clock is a process of its own, and ends with this one.
    this.#pid = JSON.parse(line).pid;
  }

  /** `halo`, on this device. */
  async halo(...args) {
    const { stdout } = await promisify(execFile)(HALO, ['--json', ...args], { env: { ...process.env, ...this.#env } });
    return JSON.parse(stdout);
  }

  /** The same for what goes on for a while: what it says so far, how to type to it, and how it ends. */
  follow(...args) {
    const child = spawn(HALO, ['--json', ...args], { env: { ...process.env, ...this.#env }, stdio: ['pipe', 'pipe', 'inherit'] });
    const said = [];
    createInterface({ input: child.stdout }).on('line', (line) => said.push(JSON.parse(line)));
    return {
      /** The first thing that it says of which this holds, or what that makes of it. */
      heard: (what, of) => until(what, () => said.map(of).find(Boolean)),
      type: (text) => child.stdin.write(`${text}\n`),
      ended: once(child, 'exit').then(([code]) => code),
    };
  }

  /** Becomes a device by a link; how its digits are heard, and how it ends. */
  join(url) {
    const joining = this.follow('devices', 'join', url, '--name', this.#name);
    return { digits: joining.heard('digits', ({ code }) => code), ended: joining.ended };
  }

  /** Starts again, with a clock that is ahead by so many hours. */
  async ahead(hours) {
    await this.end();
    await this.#serve('faketime', ['--exclude-monotonic', '-f', `+${hours}h`, HALO]);
  }

  async end() {
    process.kill(this.#pid);
    await this.#running.ended;
  }
}
