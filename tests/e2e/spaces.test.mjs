// Spaces in the real window: make one, see what `halo` puts there, delete it, take it back, leave.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';

import { Desktop } from './lib/desktop.mjs';
import { picture } from './lib/screen.mjs';
import { until } from './lib/until.mjs';

describe('a space', () => {
  let desktop;
  let session;
  let space;

  /** `halo`, on the profile that the window shows. */
  const halo = async (...args) => {
    const env = { ...process.env, HALO_PROFILE: desktop.profile };
    const { stdout } = await promisify(execFile)(process.env.HALO_BIN, ['--json', ...args], { env });
    return JSON.parse(stdout);
  };
  const titles = async () => {
    const found = await session.all('[data-testid=item]');
    return Promise.all(found.map((id) => session.elementText(id)));
  };

  before(async () => {
    desktop = await Desktop.start();
    session = desktop.session;
    const { error } = await session.invoke('create_identity', { name: 'Ada', keychain: 'os' });
    assert.equal(error, undefined);
  });
  after(() => desktop?.end());

  it('is made in the window', async () => {
    await session.click('nav-spaces');
    await session.find('spaces-empty');
    await session.click('space-new');
    await session.type('space-name', 'Household');
    await session.click('space-add');
    await session.says('spaces-list', /Household/);
    [space] = await halo('spaces', 'list');
    assert.equal(space.name, 'Household');
  });

  it('shows at once what is put into it from elsewhere', async () => {
    await session.click('space');
    await session.find('items-empty');
    for (const title of ['Milk', 'Bread and butter']) {
      await halo('items', 'put', JSON.stringify({ title }), '--space', space.id, '--type', 'example.org/type/Task:0.1.0');
    }
    await until('both items', async () => (await titles()).length === 2);
    await session.type('items-search', 'butter');
    await until('the search', async () => (await titles()).join() === 'Bread and butter');
    await picture(session, 'space');
  });

  it('gives back what was deleted or changed', async () => {
    await session.click('item');
    await session.click('item-delete');
    await session.find('items-empty');
    const [gone] = await halo('items', 'query', '--deleted', '--space', space.id);
    assert.equal(gone.data.title, 'Bread and butter');
    await halo('items', 'restore', gone.id, '--space', space.id);
    await halo('items', 'put', JSON.stringify({ title: 'Just butter' }), '--space', space.id, '--id', gone.id);
    await until('the edit', async () => (await titles()).join() === 'Just butter');
    if (!(await session.has('item-panel'))) await session.click('item');
    await session.click('item-history');
    await session.click('item-version-restore');
    await until('the old version', async () => (await titles()).join() === 'Bread and butter');
    const report = await halo('doctor');
    assert.deepEqual(report.problems, []);
  });

  it('is gone when its only member leaves', async () => {
    await session.click('space-leave');
    await session.click('space-leave-confirm');
    await session.find('spaces-empty');
    assert.deepEqual(await halo('spaces', 'list'), []);
  });
});
