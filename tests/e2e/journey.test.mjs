// The main story: make an identity, sign in to an app in a browser, find the app, end its access.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { browser, Example, Page } from './lib/browser.mjs';
import { Desktop } from './lib/desktop.mjs';
import { prompt } from './lib/prompt.mjs';
import { inFront, picture, TITLE } from './lib/screen.mjs';
import { until } from './lib/until.mjs';

describe('a newcomer', () => {
  let desktop;
  let session;
  let example;
  let chromium;
  let page;
  let subject;

  before(async () => {
    example = await Example.start();
    desktop = await Desktop.start();
    session = desktop.session;
  });
  after(async () => {
    await chromium?.close();
    await desktop?.end();
    await example?.end();
  });

  it('makes an identity, kept by the keychain', async () => {
    await session.find('welcome-create');
    await picture(session, 'welcome');
    await session.click('welcome-create');
    await session.type('create-name', 'Ada Lovelace');
    await picture(session, 'create');
    await session.click('create-submit');
    await session.click('phrase-show');
    const { root_place, passphrase, identity } = await desktop.snapshot();
    assert.deepEqual({ root_place, passphrase }, { root_place: 'keychain', passphrase: false });
    assert.equal(identity.phrase, 'unconfirmed');
  });

  it('writes the words down and shows that they were', async () => {
    await session.find('phrase-words');
    const words = await session.execute(
      `return [...document.querySelectorAll('[data-testid="phrase-words"] li')].map((item) => item.lastChild.textContent.trim())`,
    );
    assert.equal(words.length, 24);
    await session.click('phrase-next');
    await session.find('quiz-submit');
    const places = await session.execute(
      `return [...document.querySelectorAll('[data-testid^="quiz-"]')].map((field) => Number(field.dataset.testid.slice(5))).filter(Boolean)`,
    );
    assert.equal(places.length, 3);
    for (const place of places) await session.type(`quiz-${place}`, words[place - 1]);
    await picture(session, 'quiz');
    await session.click('quiz-submit');
    await session.says('identity-name', /Ada Lovelace/);
    assert.equal((await desktop.snapshot()).identity.phrase, 'confirmed');
    await picture(session, 'identity');
  });

  it('sees no app yet', async () => {
    await session.click('nav-apps');
    await session.find('apps-empty');
  });

  it('signs in to an app, picking the words that its page shows', async () => {
    chromium = await browser();
    page = await Page.open(chromium, example.origin);
    await page.signIn();
    const words = (await page.words()).join(' ');
    const asked = await prompt(desktop);
    await until('the prompt to be in front', async () => (await inFront()) === TITLE.approval);
    assert.equal(await session.text('approval-origin'), example.origin);
    const choices = await asked.choices();
    assert.equal(choices.length, 4);
    assert.ok(choices.includes(words), `${words} is one of ${choices}`);
    await page.picture('page-words');
    await asked.pick(words);
    await picture(session, 'prompt');
    await asked.allow();
    const greeting = await page.greeting();
    assert.equal(greeting.name, 'Ada Lovelace');
    assert.match(greeting.verdict, /verified by the backend/);
    assert.match(greeting.subject, /^did:key:z6Mk/);
    subject = greeting.subject;
    await page.picture('page-signed-in');
    await asked.gone();
  });

  it('is known to the app by an alias, not by the identity', async () => {
    const { identity, apps } = await desktop.snapshot();
    assert.notEqual(subject, identity.did_key);
    assert.equal(apps[0].sub, subject);
  });

  it('finds the app among the apps', async () => {
    await session.click('nav-apps');
    await session.says('apps-list', new RegExp(example.origin.replaceAll('.', '\\.')));
    await picture(session, 'apps');
  });

  it('stays signed in when the page is opened again, without another prompt', async () => {
    await page.page.reload();
    assert.equal((await page.greeting()).subject, subject);
    assert.deepEqual((await desktop.snapshot()).requests, []);
  });

  it('is the same person to the app after a restart of the wallet', async () => {
    await desktop.relaunch();
    session = desktop.session;
    await page.page.reload();
    assert.equal((await page.greeting()).subject, subject);
  });

  it('ends the access of the app, and the page is signed out', async () => {
    await session.click('nav-apps');
    await session.click('app-revoke');
    await session.find('revoke-confirm');
    await picture(session, 'revoke');
    await session.click('revoke-confirm');
    await page.signedOut();
    assert.equal(await page.notice(), 'revoked');
    await page.picture('page-signed-out');
    await session.find('apps-empty');
  });

  it('finds all of it in the activity', async () => {
    await session.click('nav-activity');
    await session.find('activity-list');
    await picture(session, 'activity');
    const { ok: log } = await session.invoke('activity', { limit: 50 });
    const events = log.map(({ event }) => event);
    for (const event of ['identity_created', 'phrase_confirmed', 'approved', 'used', 'revoked']) {
      assert.ok(events.includes(event), `${event} is in ${events}`);
    }
  });
});
