// Makes a desktop for the tests out of nothing (a screen, a window manager, a session bus, an unlocked Secret Service,
// empty directories) and runs them in it: `npm test`, or `node run.mjs FILE…`.

import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, openSync, readdirSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { application, ARTEFACTS, tauriDriver } from './lib/desktop.mjs';

const HERE = fileURLToPath(new URL('.', import.meta.url));

/** Programs that must be there, and the Debian package of each. */
const NEEDED = {
  Xvfb: 'xvfb',
  'dbus-run-session': 'dbus-daemon',
  'gnome-keyring-daemon': 'gnome-keyring',
  faketime: 'faketime',
  WebKitWebDriver: 'webkit2gtk-driver',
  chromium: 'chromium',
  import: 'imagemagick',
  openbox: 'openbox',
  xdotool: 'xdotool',
  zbarimg: 'zbar-tools',
};

function fail(message) {
  console.error(message);
  process.exit(1);
}

const there = (program) => (process.env.PATH ?? '').split(':').some((dir) => existsSync(join(dir, program)));
const missing = Object.keys(NEEDED).filter((program) => !there(program)).map((program) => NEEDED[program]);
if (missing.length > 0) fail(`missing Debian packages: sudo apt-get install ${missing.join(' ')}`);
if (!tauriDriver()) fail('missing tauri-driver: cargo install tauri-driver --locked');
try {
  application();
} catch (error) {
  fail(error.message);
}

// Everything that programs write goes here, so that neither the user's keychain nor their browser is touched.
const home = mkdtempSync(join(tmpdir(), 'halo-e2e-'));
const dirs = { XDG_DATA_HOME: 'data', XDG_CONFIG_HOME: 'config', XDG_CACHE_HOME: 'cache', XDG_RUNTIME_DIR: 'run' };
const env = { ...process.env, HOME: home, HALO_E2E_HOME: homedir(), HALO_E2E_ARTEFACTS: ARTEFACTS };
for (const [name, dir] of Object.entries(dirs)) {
  env[name] = join(home, dir);
  mkdirSync(env[name], { mode: 0o700 });
}
for (const name of ['WAYLAND_DISPLAY', 'DBUS_SESSION_BUS_ADDRESS', 'HALO_PROFILE']) delete env[name];
Object.assign(env, { GDK_BACKEND: 'x11', LIBGL_ALWAYS_SOFTWARE: '1', NO_AT_BRIDGE: '1' });

// Xvfb picks a free display itself and says which.
const log = openSync(join(ARTEFACTS, 'xvfb.log'), 'a');
const screen = spawn('Xvfb', ['-displayfd', '3', '-screen', '0', '1280x960x24', '-nolisten', 'tcp'], {
  stdio: ['ignore', log, log, 'pipe'],
});
env.DISPLAY = await new Promise((resolve, reject) => {
  let said = '';
  screen.stdio[3].on('data', (chunk) => {
    said += chunk;
    if (said.includes('\n')) resolve(`:${said.trim()}`);
  });
  screen.once('exit', () => reject(new Error('Xvfb did not start')));
});

const files = process.argv.slice(2);
const tests = readdirSync(HERE).filter((name) => name.endsWith('.test.mjs'));
const inside = files.length > 0 ? ['node', ...files] : ['node', '--test', '--test-concurrency=1', '--test-timeout=600000', '--test-reporter=spec', ...tests];
// The daemon returns once it serves; it ends with the session bus.
// The window manager, because raising and closing are things that one does.
const script = `openbox &
  printf keyring-password | gnome-keyring-daemon --unlock --components=secrets && exec "$@" >&3 2>&4`;
const quiet = openSync(join(ARTEFACTS, 'bus.log'), 'a');
const { status } = spawnSync('dbus-run-session', ['--', 'sh', '-c', script, 'sh', ...inside], {
  cwd: HERE,
  env,
  // The bus and what it starts are talkative: that goes to a file, what the tests say does not.
  stdio: ['inherit', quiet, quiet, 1, 2],
});
screen.kill();
rmSync(home, { recursive: true, force: true, maxRetries: 5 });
if (files.length === 0) console.log(`pictures and logs: ${ARTEFACTS}`);
process.exit(status ?? 1);
