// Takes every screen as a picture: `npm run shots -- DIRECTORY [NAME…]`. Light and dark, at two sizes.

import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { chromium } from 'playwright-core';
import { build, preview } from 'vite';

const root = fileURLToPath(new URL('..', import.meta.url));
const into = resolve(process.cwd(), process.argv[2] ?? 'shots');
const only = process.argv.slice(3);
mkdirSync(into, { recursive: true });

const main = [
  ['welcome', 'empty'],
  ['create', 'empty', ['welcome-create']],
  ['create-no-keychain', 'empty-no-keychain', ['welcome-create']],
  ['restore', 'empty', ['welcome-restore']],
  ['unlock', 'locked'],
  ['trouble-entry-missing', 'trouble-entry'],
  ['trouble-older-copy', 'trouble-older'],
  ['identity', 'identity'],
  ['identity-unconfirmed', 'identity-unconfirmed'],
  ['apps-empty', 'apps-empty', ['nav-apps']],
  ['apps', 'apps', ['nav-apps']],
  ['revoke', 'apps', ['nav-apps', 'app-revoke']],
  ['spaces-empty', 'apps-empty', ['nav-spaces']],
  ['spaces', 'apps', ['nav-spaces']],
  ['space-new', 'apps', ['nav-spaces', 'space-new']],
  ['space', 'apps', ['nav-spaces', 'space']],
  ['space-item', 'apps', ['nav-spaces', 'space', 'item', 'item-history']],
  ['space-leave', 'apps', ['nav-spaces', 'space', 'space-leave']],
  ['devices-one', 'devices-one', ['nav-devices']],
  ['devices', 'devices', ['nav-devices']],
  ['devices-new', 'devices-new', ['nav-devices']],
  ['devices-refused', 'devices-refused', ['nav-devices']],
  ['devices-agree', 'devices-refused', ['nav-devices', 'refused-agree']],
  ['devices-agree-two', 'devices-refused-two', ['nav-devices', 'refused-agree']],
  ['devices-all-paused', 'devices-all-paused', ['nav-devices']],
  ['devices-removed', 'devices-removed', ['nav-devices', 'devices-removed']],
  ['device-aliases', 'devices-removed', ['nav-devices', 'devices-removed', 'device-aliases']],
  ['device-remove', 'devices', ['nav-devices', 'device-remove']],
  ['device-remove-last', 'devices-one', ['nav-devices', 'device-remove']],
  ['sync', 'devices', ['nav-devices', 'devices-sync']],
  ['sync-alone', 'devices-one', ['nav-devices', 'devices-sync']],
  ['add-device', 'invite-code', ['nav-devices', 'devices-add']],
  ['add-device-digits', 'invite-digits', ['nav-devices', 'devices-add']],
  ['add-device-done', 'invite-done', ['nav-devices', 'devices-add']],
  ['add-device-burnt', 'invite-burnt', ['nav-devices', 'devices-add']],
  ['join', 'empty', ['welcome-join']],
  ['join-name', 'empty', ['welcome-join', 'join-show-code']],
  ['join-connecting', 'join-connecting'],
  ['join-code', 'join-code'],
  ['join-digits', 'join-digits'],
  ['join-progress', 'join-progress'],
  ['join-ready', 'join-ready'],
  ['join-expired', 'join-expired'],
  ['activity', 'activity', ['nav-activity']],
  ['activity-broken', 'activity-broken', ['nav-activity']],
  ['settings', 'settings', ['nav-settings']],
  ['settings-network', 'devices', ['nav-settings', 'settings-network']],
  ['settings-turn', 'devices', ['nav-settings', 'settings-network', 'network-turn-add']],
  ['settings-storage', 'apps', ['nav-settings', 'settings-storage', 'storage-check']],
  ['add-asking-warning', 'devices', ['nav-settings', 'settings-asking']],
  ['add-asking-code', 'devices', ['nav-settings', 'settings-asking', 'asking-understood', 'asking-go-on']],
  ['phrase', 'identity', ['nav-settings', 'phrase-open', 'phrase-show']],
  ['phrase-quiz', 'identity', ['nav-settings', 'phrase-open', 'phrase-show', 'phrase-next']],
];
const prompts = [
  ['prompt-words', 'prompt-words'],
  ['prompt-compare', 'prompt-compare'],
  ['prompt-spaces', 'prompt-spaces'],
  ['prompt-identity', 'prompt-identity'],
  ['prompt-impostor', 'prompt-impostor'],
];

await build({ root, mode: 'shots', logLevel: 'warn' });
const server = await preview({ root, mode: 'shots', build: { outDir: 'dist-shots' }, preview: { host: '127.0.0.1', port: 0 } });
const origin = server.resolvedUrls.local[0];
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
let taken = 0;
const take = async (page, html, name, state, clicks, theme, size) => {
  if (only.length > 0 && !only.includes(name)) return;
  await page.setViewportSize(size);
  await page.goto(`${origin}${html}?state=${state}&theme=${theme}`);
  for (const testid of clicks) await page.getByTestId(testid).first().click();
  // The prompt lets itself be answered after half a second; the picture shows it then.
  if (html === 'approval.html' && name !== 'prompt-words') await page.locator('[data-testid=approve-allow]:enabled').waitFor();
  await page.evaluate(() => Promise.all(document.getAnimations().map((animation) => (animation.finish(), 0))));
  await page.screenshot({ path: `${into}/${name}-${theme}-${size.width}.png` });
  taken += 1;
};
const page = await browser.newPage({ reducedMotion: 'reduce' });
for (const theme of ['light', 'dark']) {
  for (const [name, state, clicks = []] of main) {
    for (const size of [{ width: 1280, height: 800 }, { width: 960, height: 640 }]) {
      await take(page, 'index.html', name, state, clicks, theme, size);
    }
  }
  for (const [name, state] of prompts) await take(page, 'approval.html', name, state, [], theme, { width: 520, height: 640 });
}
await browser.close();
await server.close();
console.log(`${taken} pictures in ${into}`);
process.exit(0);
