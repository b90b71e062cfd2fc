// A device that is new itself lets in another: the window asks, and the user's word lets it in.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { Daemon } from './lib/daemon.mjs';
import { Desktop } from './lib/desktop.mjs';
import { Kube } from './lib/kube.mjs';
import { picture } from './lib/screen.mjs';
import { until } from './lib/until.mjs';

describe('a device that a new one let in', () => {
  let kube;
  let desktop;
  let session;
  const others = [];

  before(async () => {
    kube = await Kube.start();
    desktop = await Desktop.start();
    session = desktop.session;
    assert.equal((await session.invoke('create_identity', { name: 'Ada', keychain: 'os' })).error, undefined);
    assert.equal((await session.invoke('set_network', { servers: [kube.url], lan: false })).error, undefined);
    for (const name of ['Tablet', 'Kitchen']) others.push(await Daemon.start(name));
  });
  after(async () => {
    for (const daemon of others) await daemon.end();
    await desktop?.end();
    await kube?.end();
  });

  const listed = async () => (await desktop.snapshot()).devices.map(({ label }) => label);

  it('is asked about', async () => {
    const [tablet, kitchen] = others;
    const { ok: invitation } = await session.invoke('invite_device');
    const joining = tablet.join(invitation.url);
    const digits = await joining.digits;
    assert.equal((await session.invoke('enter_digits', { id: invitation.invitation_id, digits })).error, undefined);
    assert.equal(await joining.ended, 0);

    // The tablet takes itself for no newcomer; everybody else's clock says otherwise.
    await tablet.ahead(26);
    const hosting = tablet.follow('devices', 'invite');
    const second = kitchen.join(await hosting.heard('a link', ({ url }) => url));
    const typed = await second.digits;
    await hosting.heard('somebody who asks', ({ state }) => state === 'READY_FOR_AUTHENTICATION');
    hosting.type(typed);
    assert.deepEqual([await hosting.ended, await second.ended], [0, 0]);

    await session.click('nav-devices');
    await session.says('refused', /Kitchen[^]* is not let in yet[^]*Tablet[^]*You have not agreed/);
    assert.equal((await listed()).includes('Kitchen'), false);
    await picture(session, 'refused');
  });

  // threat: 29
  it('is in once the user says that it is theirs, on probation from then on', async () => {
    await session.click('refused-agree');
    await session.find('refused-agree-confirm');
    await picture(session, 'refused-agree');
    await session.click('refused-agree-confirm');
    await session.says('devices-list', /Kitchen/);
    assert.equal(await session.has('refused'), false);
    assert.deepEqual((await listed()).slice(1).sort(), ['Kitchen', 'Tablet']);
    await session.says('new-device', /Tablet|Kitchen/);
    await picture(session, 'refused-agreed');
    await until('it to be heard of', async () => {
      const { ok } = await session.invoke('snapshot');
      return ok.devices.find(({ label }) => label === 'Kitchen')?.online;
    });
  });
});
