// The shell around the wallet: windows, a second start, links, a profile in use, the end.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';

import { application, Desktop, run } from './lib/desktop.mjs';
import { close, inFront, isSeen, picture, TITLE } from './lib/screen.mjs';
import { until } from './lib/until.mjs';

/** Starts the app once more for the same profile; answers its exit code. */
async function startAgain(desktop, ...args) {
  const { child, ended } = run('second', application(), args, { HALO_PROFILE: desktop.profile });
  const code = await ended;
  assert.equal(child.signalCode, null);
  return code;
}

describe('the app', () => {
  let desktop;
  before(async () => {
    desktop = await Desktop.start();
  });
  after(() => desktop?.end());

  it('shows its window by itself, with the keyboard in it', async () => {
    await until('the window', () => isSeen(TITLE.main));
    assert.equal(await isSeen(TITLE.approval), false, 'nothing waits, so there is no prompt');
  });

  it('lives on when its window is closed, and a second start brings the window back', async () => {
    await close(TITLE.main);
    assert.equal((await desktop.snapshot()).state, 'empty', 'the app still answers');
    assert.equal(await startAgain(desktop), 0, 'the second start ends by itself');
    await until('the window to be back', () => isSeen(TITLE.main));
    await until('the window to be in front', async () => (await inFront()) === TITLE.main);
  });

  it('opens for a link, and ignores a link that asks for more', async () => {
    await close(TITLE.main);
    assert.equal(await startAgain(desktop, 'halo://revoke/all'), 0);
    assert.equal(await isSeen(TITLE.main), false, 'there is no such screen');
    assert.equal(await startAgain(desktop, 'halo://settings'), 0);
    await until('the window to be back', () => isSeen(TITLE.main));
  });

  it('shows pages of its own only', async () => {
    const { session } = desktop;
    const home = await session.location();
    await session.execute(`location.href = 'https://example.org/'`);
    await session.execute(`location.href = 'http://127.0.0.1:47110/'`);
    await session.execute(`window.open('https://example.org/')`);
    assert.equal(await session.location(), home);
    assert.equal(await session.execute('return window.__TAURI__ === undefined'), true);
  });

  it('runs no script that is not its own', async () => {
    const ran = await desktop.session.execute(`
      const script = document.createElement('script');
      script.textContent = 'window.intruder = true';
      document.head.append(script);
      return window.intruder === true;`);
    assert.equal(ran, false, 'the content security policy allows no inline script');
  });

  it('lets the approval window look and answer, and call nothing else', async () => {
    const permissions = JSON.parse(readFileSync(new URL('../../src-tauri/permissions/windows.json', import.meta.url)));
    const { session } = desktop;
    await session.switchTo('approval.html');
    assert.equal((await session.invoke('snapshot')).ok.state, 'empty');
    const others = permissions.permission.find(({ identifier }) => identifier === 'keep-wallet').commands.allow;
    assert.ok(others.includes('revoke') && others.includes('reveal_phrase'));
    const plugins = ['plugin:opener|open_url', 'plugin:window|close', 'plugin:event|emit', 'plugin:webview|create_webview'];
    for (const command of [...others, ...plugins]) {
      const { error } = await session.invoke(command, { id: '00', name: 'Mallory', keychain: 'os', limit: 1 });
      assert.match(String(error), /not allowed/, `${command} must be refused to the prompt`);
    }
    await session.switchTo('index.html');
    assert.equal((await desktop.snapshot()).state, 'empty');
  });

  it('serves apps, and puts everything away when the session ends', async () => {
    const { broker_url: url } = await until('the broker', async () => {
      const snapshot = await desktop.snapshot();
      return snapshot.broker_url && snapshot;
    });
    assert.ok((await fetch(`${url}/.well-known/halo`)).ok);
    const runtime = join(process.env.XDG_RUNTIME_DIR, 'halo');
    const announcements = () =>
      readdirSync(runtime).filter((dir) => existsSync(join(runtime, dir, 'broker.json')));
    assert.equal(announcements().length, 1);
    process.kill(desktop.pid(), 'SIGTERM');
    await until('the app to end', () => desktop.pid() === undefined);
    assert.deepEqual(announcements(), [], 'nobody is sent to a port that may be somebody else’s by now');
  });
});

describe('a profile that another program holds', () => {
  let desktop;
  let holder;
  before(async () => {
    const profile = mkdtempSync(join(tmpdir(), 'halo-e2e-held-'));
    writeFileSync(join(profile, 'lock'), '4242 halo daemon\n');
    holder = spawn('flock', [join(profile, 'lock'), 'sh', '-c', 'echo held; read end'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    await once(holder.stdout, 'data');
    desktop = await Desktop.start({ profile });
  });
  after(async () => {
    await desktop?.end();
    holder?.stdin.end();
  });

  it('is said to be in use, and by whom', async () => {
    const { trouble } = await desktop.snapshot();
    assert.equal(trouble.code, 'wallet.held');
    assert.match(trouble.message, /halo daemon \(process 4242\)/);
    await until('the window to say so', () =>
      desktop.session.execute(`return /halo daemon/.test(document.body.innerText)`));
    await picture(desktop.session, 'trouble-held');
  });

  it('opens as soon as it is free', async () => {
    holder.stdin.end();
    await once(holder, 'exit');
    const { error } = await desktop.session.invoke('unlock', {});
    assert.equal(error, undefined);
    assert.equal((await desktop.snapshot()).trouble, null);
  });
});
