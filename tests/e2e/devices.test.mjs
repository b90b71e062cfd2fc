// A second device joins by the code on the first one's screen: read by a stranger's reader and given as a link, and read
// by HALO itself from a picture of that screen.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';

import { ARTEFACTS, Desktop } from './lib/desktop.mjs';
import { Kube } from './lib/kube.mjs';
import { picture } from './lib/screen.mjs';
import { until } from './lib/until.mjs';

const execute = promisify(execFile);
/** Two windows, two web processes and a server, in debug builds. */
const SLOW = { within: 60_000 };

/** In place of a camera, which no machine for tests has: it sees a picture. Everything behind it is real. */
const FILM = `
  const bytes = Uint8Array.from(atob(arguments[0]), (byte) => byte.charCodeAt(0));
  navigator.mediaDevices.getUserMedia = async () => {
    const image = await createImageBitmap(new Blob([bytes], { type: 'image/png' }));
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [image.width, image.height];
    const draw = () => (canvas.getContext('2d').drawImage(image, 0, 0), requestAnimationFrame(draw));
    draw();
    return canvas.captureStream(10);
  };
`;

/** The code that a window shows, as a picture of the window, and what a stranger's reader makes of it. */
async function screenWithCode(session, name) {
  await session.find('code');
  await session.findCss('[data-testid="code"] svg path');
  const path = join(ARTEFACTS, `${name}.png`);
  // What is in the document may not be on the screen yet.
  return until('the code to be painted', async () => {
    const screen = await session.screenshot();
    await writeFile(path, screen);
    const { stdout } = await execute('zbarimg', ['--quiet', '--raw', path]);
    return { screen, text: stdout.trim() };
  }, SLOW);
}

/** Types what the new device shows into the trusted one, and waits until both are done. */
async function enterDigits(host, guest) {
  await guest.find('digits', SLOW);
  const digits = await guest.execute(
    `return [...document.querySelectorAll('[data-testid="digits"] .digit')].map((digit) => digit.textContent).join('')`,
  );
  assert.match(digits, /^\d{6}$/);
  assert.equal(await host.has('digits'), false, 'the trusted device never shows digits');
  await host.type('digits-field', digits);
  await host.click('digits-submit');
  await host.find('invitation-done', SLOW);
  await host.click('invitation-done');
  await until('the new device to be in step', async () => {
    const { ok } = await guest.invoke('snapshot');
    return ok.join?.in_step;
  }, SLOW);
}

describe('a second device', () => {
  let kube;
  let first;
  let host;
  let link;
  const guests = [];

  before(async () => {
    kube = await Kube.start();
    first = await Desktop.start();
    host = first.session;
    assert.equal((await host.invoke('create_identity', { name: 'Ada', keychain: 'os' })).error, undefined);
    assert.equal((await host.invoke('set_network', { servers: [kube.url], lan: false })).error, undefined);
    assert.equal((await host.invoke('add_space', { name: 'Garden' })).error, undefined);
  });
  after(async () => {
    for (const guest of guests) await guest.end();
    await first?.end();
    await kube?.end();
  });

  async function newcomer() {
    const desktop = await Desktop.start();
    guests.push(desktop);
    return desktop;
  }

  it('is offered a code, which any reader of such codes reads', async () => {
    await host.click('nav-devices');
    await host.click('devices-add');
    ({ text: link } = await screenWithCode(host, 'code'));
    const { ok } = await host.invoke('snapshot');
    assert.equal(link, ok.invitations.find(({ url }) => url).url);
    assert.match(link, /^halo:\/\/join\//);
  });

  it('joins by the link that a reader read, with the digits of its own screen', async () => {
    const desktop = await newcomer();
    const guest = desktop.session;
    await guest.click('welcome-join');
    await guest.type('reader-link', link);
    await guest.click('reader-submit');
    await guest.type('join-label', 'Kitchen');
    await guest.click('join-submit');
    await enterDigits(host, guest);
    await picture(guest, 'joined');
    await guest.click('join-done');
    const { identity, devices } = await desktop.snapshot();
    assert.equal(identity.name, 'Ada');
    assert.deepEqual(devices.map(({ label }) => label).includes('Kitchen'), true);
    const { ok: spaces } = await guest.invoke('spaces');
    assert.deepEqual(spaces.map(({ name }) => name), ['Garden']);
  });

  // threat: 25
  it('is shown as new by the first one, with a way to undo it', async () => {
    await host.find('new-device', SLOW);
    await picture(host, 'new-device');
    await host.click('new-device-undo');
    await until('it to be put out', async () => {
      const { ok } = await host.invoke('snapshot');
      return ok.devices.some(({ label, revoked }) => label === 'Kitchen' && revoked !== null);
    }, SLOW);
  });

  it('joins by a picture of the screen', async () => {
    await host.click('nav-devices');
    await host.click('devices-add');
    const { screen } = await screenWithCode(host, 'code-again');
    const desktop = await newcomer();
    const guest = desktop.session;
    await guest.click('welcome-join');
    await guest.find('reader-link');
    await guest.choose('reader-file', 'screen.png', 'image/png', screen);
    await guest.type('join-label', 'Studio');
    await guest.click('join-submit');
    await enterDigits(host, guest);
    assert.equal((await desktop.snapshot()).identity.name, 'Ada');
  });

  it('joins through a camera', async () => {
    await host.click('nav-devices');
    await host.click('devices-add');
    const { screen } = await screenWithCode(host, 'code-filmed');
    const desktop = await newcomer();
    const guest = desktop.session;
    await guest.click('welcome-join');
    await guest.execute(FILM, screen.toString('base64'));
    await guest.click('reader-camera');
    await guest.find('join-label', SLOW);
    await guest.type('join-label', 'Garden');
    await guest.click('join-submit');
    await enterDigits(host, guest);
    assert.equal((await desktop.snapshot()).identity.name, 'Ada');
  });

  // threat: 24
  it('is not let in by digits that it does not show', async () => {
    await host.click('nav-devices');
    await host.click('devices-add');
    await host.find('code');
    const { ok } = await host.invoke('snapshot');
    const desktop = await newcomer();
    const guest = desktop.session;
    await guest.click('welcome-join');
    await guest.type('reader-link', ok.invitations.find(({ url }) => url).url);
    await guest.click('reader-submit');
    await guest.type('join-label', 'Stranger');
    await guest.click('join-submit');
    await guest.find('digits', SLOW);
    const shown = await guest.execute(
      `return [...document.querySelectorAll('[data-testid="digits"] .digit')].map((digit) => digit.textContent).join('')`,
    );
    const others = shown === '000000' ? '000001' : '000000';
    await host.type('digits-field', others);
    await host.click('digits-submit');
    await host.find('invitation-again', SLOW);
    await picture(host, 'burnt');
    await guest.find('join-again', SLOW);
    assert.equal((await desktop.snapshot()).state, 'empty', 'nothing of the identity is there');
    assert.equal((await first.snapshot()).devices.some(({ label }) => label === 'Stranger'), false);
  });
});
