// The prompt, as the user answers it.

import { until } from './until.mjs';
import { KEY } from './webdriver.mjs';

/** Waits for the prompt and switches to its window. */
export async function prompt(desktop) {
  const { session } = desktop;
  await session.switchTo('approval.html');
  await until('the prompt to be shown', () =>
    session.execute(`return document.visibilityState === 'visible' && !!document.querySelector('[role="alertdialog"]')`));
  return new Prompt(desktop);
}

class Prompt {
  constructor(desktop) {
    this.desktop = desktop;
    this.session = desktop.session;
  }

  /** The four triples to pick from, as texts. */
  async choices() {
    return this.session.execute(
      `return [...document.querySelectorAll('[data-testid="word-choice"]')].map((choice) => choice.value)`,
    );
  }

  /** Picks one triple. */
  async pick(words) {
    const found = await this.session.all(`[data-testid="word-choice"][value="${words}"]`);
    await this.session.clickElement(found[0]);
  }

  /** Presses "Allow", as soon as that counts. */
  async allow() {
    await this.session.click('approve-allow');
  }

  /** Presses "Don't allow". */
  async refuse() {
    await this.session.click('approve-deny');
  }

  /** Presses Escape. */
  escape() {
    return this.session.press(KEY.escape);
  }

  /** Presses Enter. */
  enter() {
    return this.session.press(KEY.enter);
  }

  /** Waits until the prompt is off the screen, and switches back to the wallet's window. */
  async gone() {
    await until('the prompt to go', () => this.session.execute(`return document.visibilityState === 'hidden'`));
    await this.session.switchTo('index.html');
  }
}
