// The real app under tauri-driver: start, pictures, end.

import { spawn } from 'node:child_process';
import {
  createWriteStream, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, realpathSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { until } from './until.mjs';
import { Session } from './webdriver.mjs';

/** The root of the repository. */
export const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

/** Where pictures and logs are kept. */
export const ARTEFACTS = process.env.HALO_E2E_ARTEFACTS ?? mkdtempSync(join(tmpdir(), 'halo-e2e-artefacts-'));
mkdirSync(ARTEFACTS, { recursive: true });

/** The program under test: `HALO_DESKTOP`, or the debug build. */
export function application() {
  const target = process.env.CARGO_TARGET_DIR ?? join(ROOT, 'target');
  const path = process.env.HALO_DESKTOP ?? join(target, 'debug', 'halo-desktop');
  if (!existsSync(path)) throw new Error(`${path} is missing: cargo build -p halo-desktop`);
  return realpathSync(path);
}

/** Where `cargo install` put tauri-driver, or `undefined`. */
export function tauriDriver() {
  const cargo = process.env.CARGO_HOME ?? join(process.env.HALO_E2E_HOME ?? homedir(), '.cargo');
  const places = [join(cargo, 'bin'), ...(process.env.PATH ?? '').split(':')];
  return places.map((place) => join(place, 'tauri-driver')).find((path) => existsSync(path));
}

/** A port that was free a moment ago. */
export async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A program whose output goes to a file among the artefacts, and which ends with the test. */
export function run(name, command, args, env = {}) {
  const child = spawn(command, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const log = createWriteStream(join(ARTEFACTS, `${name}.log`), { flags: 'a' });
  child.stdout.pipe(log, { end: false });
  child.stderr.pipe(log, { end: false });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  return {
    child,
    ended,
    async end() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

/** Process ids of a program. */
export function processes(program) {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number).filter((pid) => {
    try {
      return readlinkSync(`/proc/${pid}/exe`) === program;
    } catch {
      return false;
    }
  });
}

function environment(pid) {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
  } catch {
    return [];
  }
}

/** One profile, and the app that opens it. */
export class Desktop {
  #driver;
  #driverUrl;
  /** Window and command calls. */
  session;

  constructor(profile, env) {
    this.profile = profile;
    this.env = env;
  }

  /** Starts driver and app with a profile of its own. */
  static async start({ profile = mkdtempSync(join(tmpdir(), 'halo-e2e-profile-')), env = {} } = {}) {
    const desktop = new Desktop(profile, env);
    const [port, native] = [await freePort(), await freePort()];
    desktop.#driver = run('desktop', tauriDriver(), ['--port', `${port}`, '--native-port', `${native}`], {
      HALO_PROFILE: profile,
      ...env,
    });
    desktop.#driverUrl = `http://127.0.0.1:${port}`;
    await until('tauri-driver', async () => (await fetch(`${desktop.#driverUrl}/status`)).ok);
    await desktop.launch();
    return desktop;
  }

  /** Starts the app (again). */
  async launch() {
    this.session = await Session.start(this.#driverUrl, application());
    await this.session.switchTo('index.html');
  }

  /** Kills the app, as a power cut would, and starts it again. */
  async relaunch() {
    const pid = this.pid();
    await this.session.end();
    // A start while the old one is still going would only ask it to raise its window.
    await until('the app to end', () => !existsSync(`/proc/${pid}`));
    await this.launch();
  }

  /** Ends app and driver; the profile is free then. */
  async end() {
    const pid = this.pid();
    await this.session?.end().catch(() => {});
    // Waited for: once the driver is gone, nobody ends the app any more.
    if (pid) await until('the app to end', () => !existsSync(`/proc/${pid}`));
    await this.#driver.end();
  }

  /** Process id of the app, or `undefined` when it has ended. */
  pid() {
    return processes(application()).find((pid) => environment(pid).includes(`HALO_PROFILE=${this.profile}`));
  }

  /** What the app itself says of its state. */
  async snapshot() {
    const { ok, error } = await this.session.invoke('snapshot');
    if (error) throw new Error(JSON.stringify(error));
    return ok;
  }
}
