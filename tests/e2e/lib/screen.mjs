// The screen as its user has it: which windows are there, which one is in front, close, click, picture.

import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { ARTEFACTS } from './desktop.mjs';
import { until } from './until.mjs';

const execute = promisify(execFile);

async function xdotool(...args) {
  const { stdout } = await execute('xdotool', args);
  return stdout.trim();
}

/** Titles of the app's windows, as their title bars show them. */
export const TITLE = { main: 'HALO', approval: 'HALO: a request' };

/** Names of the windows with this title that can be seen. */
async function seen(title) {
  // xdotool fails when it finds none.
  const found = await xdotool('search', '--onlyvisible', '--name', `^${title}$`).catch(() => '');
  return found.split('\n').filter(Boolean);
}

/** Whether a window with this title can be seen. */
export async function isSeen(title) {
  return (await seen(title)).length > 0;
}

/** The title of the window that has the keyboard. */
export async function inFront() {
  return xdotool('getactivewindow', 'getwindowname').catch(() => '');
}

/** A window manager that is busy may miss a key; its user would press it again after so long. */
const AGAIN = 2_000;

/** Closes a window as its user does; Alt+F4 is the window manager's, so the app is asked, not killed. */
export async function close(title) {
  await until(`no window ${title}`, async () => {
    const [window] = await seen(title);
    if (!window) return true;
    await xdotool('windowactivate', '--sync', window);
    await xdotool('key', 'alt+F4');
    return until('it to be gone', async () => !(await isSeen(title)), { within: AGAIN });
  });
}

/** Presses a real key, in whatever window has the keyboard. */
export async function key(name) {
  await xdotool('key', name);
}

/** Keeps a picture of the whole screen, once the current window has painted and nothing moves any more. */
export async function picture(session, name) {
  await session.executeLater(`const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done()));`);
  const path = join(ARTEFACTS, `${name}.png`);
  let before = Buffer.alloc(0);
  await until('the screen to come to rest', async () => {
    // Without dates, two pictures of the same screen are the same bytes.
    await execute('import', ['-window', 'root', '-define', 'png:exclude-chunks=date,time', path]);
    const now = await readFile(path);
    const rests = now.equals(before);
    before = now;
    return rests;
  });
}
