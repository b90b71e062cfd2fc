// The passphrase: set it, lock, be refused with a wrong one, unlock.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { browser, Example, Page } from './lib/browser.mjs';
import { Desktop } from './lib/desktop.mjs';
import { picture } from './lib/screen.mjs';
import { until } from './lib/until.mjs';

const PASSPHRASE = 'correct horse battery staple';
/** Key derivation is slow on purpose, and debug builds are slower. */
const SLOW = { within: 120_000 };

describe('a passphrase', () => {
  let desktop;
  let session;
  let example;
  let chromium;

  before(async () => {
    example = await Example.start();
    desktop = await Desktop.start();
    session = desktop.session;
    const { error } = await session.invoke('create_identity', { name: 'Ada', keychain: 'os' });
    assert.equal(error, undefined);
    chromium = await browser();
  });
  after(async () => {
    await chromium?.close();
    await desktop?.end();
    await example?.end();
  });

  const state = async () => (await desktop.snapshot()).state;

  it('is set in the settings', async () => {
    await session.click('nav-settings');
    await session.click('passphrase-set');
    await session.type('passphrase-new', PASSPHRASE);
    await session.type('passphrase-again', PASSPHRASE);
    await session.click('passphrase-submit');
    await until('the passphrase to be set', async () => (await desktop.snapshot()).passphrase, SLOW);
    await session.find('passphrase-remove', SLOW);
    await picture(session, 'settings');
  });

  it('locks: the window shows nothing, and apps are told', async () => {
    await session.click('lock');
    await session.find('unlock-passphrase');
    const snapshot = await desktop.snapshot();
    assert.deepEqual(
      { state: snapshot.state, identity: snapshot.identity, apps: snapshot.apps },
      { state: 'locked', identity: null, apps: [] },
    );
    await picture(session, 'locked');
    const page = await Page.open(chromium, example.origin);
    await page.signIn();
    assert.equal(await page.notice(), 'locked');
  });

  it('refuses another passphrase, and opens with the right one', async () => {
    await session.type('unlock-passphrase', 'incorrect horse');
    await session.click('unlock-submit');
    await until('the window to say so', () =>
      session.execute(`return /not the passphrase/.test(document.querySelector('[role="alert"]')?.innerText)`), SLOW);
    assert.equal(await state(), 'locked');
    await picture(session, 'unlock-wrong');
    await session.type('unlock-passphrase', PASSPHRASE);
    await session.click('unlock-submit', SLOW);
    await until('the wallet to open', async () => (await state()) === 'unlocked', SLOW);
    await session.find('nav-identity');
  });

  it('is asked for after a restart', async () => {
    await desktop.relaunch();
    session = desktop.session;
    await session.find('unlock-passphrase');
    assert.equal(await state(), 'locked');
  });
});
