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

  /** Presses "Allow" until that counts. */
  async allow() {
    await this.#answer('approve-allow');
  }

  /** Presses "Don't allow" until that counts. */
  async refuse() {
    await this.#answer('approve-deny');
  }

  /** A click right after the window came to the front does not count, for the tests as for everybody. */
  async #answer(testid) {
    await until(`${testid} to count`, async () => {
      await this.session.clickAway(testid);
      return this.#over();
    });
  }

  #over() {
    return this.session.execute(
      `return document.visibilityState === 'hidden' || !document.querySelector('[role="alertdialog"]')`,
    );
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
    await until('the prompt to go', () => this.#over());
    await this.session.switchTo('index.html');
  }
}
