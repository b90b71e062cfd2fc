// The prompt: the default is no, nothing is answered by accident, and wrong words end it.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { browser, Example, Page } from './lib/browser.mjs';
import { Desktop } from './lib/desktop.mjs';
import { prompt } from './lib/prompt.mjs';
import { close, picture, TITLE } from './lib/screen.mjs';

describe('the prompt', () => {
  let desktop;
  let session;
  let chromium;
  let examples;

  before(async () => {
    // An app that was refused is muted after a while, so each test has an app of its own.
    examples = [];
    for (let app = 0; app < 4; app += 1) examples.push(await Example.start());
    desktop = await Desktop.start();
    session = desktop.session;
    const { error } = await session.invoke('create_identity', { name: 'Ada', keychain: 'os' });
    assert.equal(error, undefined);
    chromium = await browser();
  });
  after(async () => {
    await chromium?.close();
    await desktop?.end();
    await Promise.all((examples ?? []).map((example) => example.end()));
  });

  /** An app nobody knows yet, at the moment its page shows three words. */
  async function firstContact(number) {
    const page = await Page.open(chromium, examples[number].origin);
    await page.signIn();
    const words = (await page.words()).join(' ');
    return { page, words, asked: await prompt(desktop) };
  }

  async function nothingWasGranted() {
    const { requests, apps } = await desktop.snapshot();
    assert.deepEqual({ requests, apps }, { requests: [], apps: [] });
  }

  it('does nothing for Enter, wherever the focus is, and takes Escape as a no', async () => {
    const { page, words, asked } = await firstContact(0);
    assert.equal(
      await session.execute('return document.activeElement.dataset.testid'),
      'approval-heading',
      'the focus is on who asks, not on a button',
    );
    await asked.enter();
    await asked.pick(words);
    await asked.enter();
    assert.equal((await desktop.snapshot()).requests.length, 1, 'the request still waits');
    await asked.escape();
    assert.equal(await page.notice(), 'denied');
    await asked.gone();
    await nothingWasGranted();
  });

  it('cannot be answered in its first half second', async () => {
    const { page, words, asked } = await firstContact(1);
    const { requests } = await desktop.snapshot();
    const wrong = requests[0].word_choices.find((choice) => choice.join(' ') !== words);
    // Past the page's own script: it is the wallet that refuses. Should the machine be busy with something else for half a
    // second, it refuses the words instead, and nothing is shown by that.
    const { took, code } = await session.executeLater(
      `const [id, words, done] = arguments;
       const { invoke } = window.__TAURI_INTERNALS__;
       const began = performance.now();
       invoke('prompt_moved', { id })
         .then(() => invoke('approve', { id, approval: { words } }))
         .catch(({ code }) => done({ took: performance.now() - began, code }));`,
      requests[0].id,
      wrong,
    );
    assert.ok(code === 'wallet.too_soon' || took >= 500, `${code} after ${took} ms`);
    if (code === 'wallet.too_soon') await asked.refuse();
    assert.equal(await page.notice(), 'denied');
    await asked.gone();
  });

  it('ends with a no when other words are picked', async () => {
    const { page, words, asked } = await firstContact(2);
    const wrong = (await asked.choices()).find((choice) => choice !== words);
    await asked.pick(wrong);
    await asked.allow();
    assert.equal(await page.notice(), 'denied');
    await page.picture('page-wrong-words');
    await asked.gone();
    await nothingWasGranted();
  });

  it('takes being closed as a no', async () => {
    const { page, asked } = await firstContact(3);
    await picture(session, 'prompt-closing');
    await close(TITLE.approval);
    assert.equal(await page.notice(), 'denied');
    await asked.gone();
    await nothingWasGranted();
  });
});
