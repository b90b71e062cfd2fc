// A KUBE where devices meet, on loopback.

import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';

import { application } from './desktop.mjs';

/** The server of the same build as the app. */
function program() {
  const path = process.env.HALO_KUBE ?? join(dirname(application()), 'kube');
  if (!existsSync(path)) throw new Error(`${path} is missing: cargo build --bin kube`);
  return path;
}

export class Kube {
  #child;

  /** Starts one that ends with the test; `url` is where devices meet. */
  static async start() {
    const kube = new Kube();
    const data = mkdtempSync(join(tmpdir(), 'halo-e2e-kube-'));
    kube.#child = spawn(program(), ['serve', '--listen', '127.0.0.1:0', '--turn', '127.0.0.1:0', '--data', data], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    for await (const line of createInterface({ input: kube.#child.stdout })) {
      const said = JSON.parse(line);
      if (said.ready) {
        kube.url = said.signal_url;
        return kube;
      }
    }
    throw new Error('the KUBE ended before it served');
  }

  async end() {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGTERM');
    await ended;
  }
}
