// Real Chromium with the example page in it.

import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { chromium } from 'playwright-core';

import { ARTEFACTS, freePort, ROOT, run } from './desktop.mjs';
import { until } from './until.mjs';

const EXAMPLE = join(ROOT, 'examples', 'hello-login');

/** The example app: its backend, and where its page is. */
export class Example {
  #backend;

  constructor(origin, backend) {
    this.origin = origin;
    this.#backend = backend;
  }

  /** Starts `examples/hello-login` as its README says, on a free port. */
  static async start() {
    if (!existsSync(join(EXAMPLE, 'node_modules'))) {
      const code = await run('npm', 'npm', ['ci', '--prefix', EXAMPLE]).ended;
      if (code !== 0) throw new Error('examples/hello-login: npm ci failed');
    }
    const port = await freePort();
    const origin = `http://localhost:${port}`;
    const backend = run('example', 'node', [join(EXAMPLE, 'backend.mjs')], { PORT: `${port}` });
    const ended = backend.ended.then((code) => {
      throw new Error(`the example ended with ${code}: see example.log`);
    });
    ended.catch(() => {});
    await Promise.race([until('the example', async () => (await fetch(origin)).ok), ended]);
    return new Example(origin, backend);
  }

  end() {
    return this.#backend.end();
  }
}

/** A browser with an empty profile. */
export async function browser() {
  const started = await chromium.launch({
    executablePath: process.env.HALO_CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
  return started;
}

/** The example's page, opened in a browser: what its user sees and does. */
export class Page {
  constructor(page) {
    this.page = page;
  }

  /** Opens it in a window of its own, with storage of its own. */
  static async open(browser, url) {
    const context = await browser.newContext({ viewport: { width: 900, height: 700 } });
    const page = await context.newPage();
    await page.goto(url);
    return new Page(page);
  }

  /** Presses "Sign in with HALO". */
  async signIn() {
    await this.page.locator('#sign-in').click();
  }

  /** The three words that the page shows at a first contact. */
  async words() {
    const list = this.page.getByRole('list', { name: 'The three words' }).getByRole('listitem');
    await list.nth(2).waitFor();
    return list.allInnerTexts();
  }

  /** Waits until the page greets, and returns the name and what the backend said. */
  async greeting() {
    await this.page.locator('[data-verdict="verified"]').waitFor();
    return {
      name: await this.page.locator('#name').innerText(),
      verdict: await this.page.locator('#verdict').innerText(),
      subject: await this.page.locator('#subject').innerText(),
    };
  }

  /** Waits for a notice, and returns its code. */
  async notice() {
    await this.page.locator('#notice:not([hidden])').waitFor();
    return this.page.locator('#notice').getAttribute('data-code');
  }

  /** Waits until nobody is signed in. */
  async signedOut() {
    await this.page.locator('#app[data-view="signed-out"]').waitFor();
  }

  /** Keeps a picture. */
  async picture(name) {
    await this.page.screenshot({ path: join(ARTEFACTS, `${name}.png`) });
  }
}
