// What keeps a profile from opening: the window says what happened and what to do, destroys nothing, and opens as soon as it
// can.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';

import { Desktop } from './lib/desktop.mjs';
import { picture } from './lib/screen.mjs';
import { until } from './lib/until.mjs';

const PASSPHRASE = 'correct horse battery staple';
/** Key derivation is slow on purpose, and debug builds are slower. */
const SLOW = { within: 120_000 };

/** Makes an identity in a profile of its own, and ends the app. */
async function made(wanted) {
  const desktop = await Desktop.start();
  const { error } = await desktop.session.invoke('create_identity', { name: 'Ada', ...wanted });
  assert.equal(error, undefined);
  await desktop.end();
  return desktop.profile;
}

/** The window shows this trouble, with these words and a next step. */
async function shows(desktop, code, words) {
  assert.equal((await desktop.snapshot()).trouble?.code, code);
  const said = await until(`the window to say ${words}`, () =>
    desktop.session.execute(
      `const alert = document.querySelector('[role="alert"]')?.innerText; return new RegExp(arguments[0]).test(alert) && alert`,
      words.source,
    ));
  assert.ok(said.split('\n').filter(Boolean).length > 1, `there is something to do: ${said}`);
}

const state = async (desktop) => (await desktop.snapshot()).state;

/** Locks the collection, as its owner can at any time. */
function lockKeychain() {
  const { status, stderr } = spawnSync('dbus-send', [
    '--session', '--print-reply', '--dest=org.freedesktop.secrets', '/org/freedesktop/secrets',
    'org.freedesktop.Secret.Service.Lock', 'array:objpath:/org/freedesktop/secrets/collection/login',
  ]);
  assert.equal(status, 0, String(stderr));
}

describe('trouble', () => {
  let desktop;
  after(() => desktop?.end());

  /** Opens a profile, does something, and ends the app. */
  async function opened(profile, work, env = {}) {
    desktop = await Desktop.start({ profile, env });
    await work(desktop.session);
    await desktop.end();
    desktop = undefined;
  }

  it('without a session bus is said', async () => {
    const profile = await made({ keychain: 'os' });
    const nowhere = { DBUS_SESSION_BUS_ADDRESS: `unix:path=${join(profile, 'nowhere')}` };
    await opened(profile, async (session) => {
      await shows(desktop, 'keystore.no_keychain', /no keychain/);
      await picture(session, 'trouble-no-bus');
    }, nowhere);
    await opened(profile, async () => assert.equal(await state(desktop), 'unlocked'));
  });

  it('with the sealed file, damaged or of another profile, is said and destroys nothing', async () => {
    const sealed = { keychain: 'none', passphrase: PASSPHRASE };
    const [profile, other] = [await made(sealed), await made(sealed)];
    const file = (of) => join(of, 'identity', 'root.sealed');
    const good = readFileSync(file(profile));
    const flipped = Buffer.from(good);
    flipped[flipped.length - 1] ^= 1;
    for (const [bytes, code, words] of [
      [flipped, 'keystore.sealed_damaged', /sealed key is damaged/],
      [readFileSync(file(other)), 'keystore.root_mismatch', /does not belong to the data/],
    ]) {
      writeFileSync(file(profile), bytes);
      await opened(profile, async (session) => {
        await shows(desktop, code, words);
        await picture(session, `trouble-${code.split('.')[1]}`);
        assert.deepEqual(readFileSync(file(profile)), bytes);
        // The right file is back: no new start is needed.
        writeFileSync(file(profile), good);
        await session.click('unlock-submit');
        await session.type('unlock-passphrase', PASSPHRASE);
        await session.click('unlock-submit', SLOW);
        await until('the wallet to open', async () => (await state(desktop)) === 'unlocked', SLOW);
      });
    }
  });

  it('with data that is not this profile’s is said', async () => {
    const profile = await made({ keychain: 'os' });
    const file = join(profile, 'identity', 'store.db');
    const good = readFileSync(file);
    const foreign = Buffer.from(good).reverse();
    writeFileSync(file, foreign);
    await opened(profile, async () => {
      await shows(desktop, 'store.wrong_key', /damaged, or belongs to another profile/);
      assert.deepEqual(readFileSync(file), foreign);
    });
    writeFileSync(file, good);
    await opened(profile, async () => assert.equal(await state(desktop), 'unlocked'));
  });

  // The last of all tests: nobody answers the question that the keychain asks on the screen, so it stays locked.
  it('with a keychain that is locked is said, whether it waits for its user or not', async () => {
    const profile = await made({ keychain: 'os' });
    lockKeychain();
    await opened(profile, async (session) => {
      const { code } = (await desktop.snapshot()).trouble;
      const waits = code === 'keystore.keychain_timed_out';
      await shows(desktop, waits ? code : 'keystore.keychain_locked', waits ? /did not answer/ : /Your keychain is locked/);
      await picture(session, 'trouble-keychain-locked');
    });
  });
});
