// The few calls of WebDriver (https://www.w3.org/TR/webdriver2/) that the tests need, over fetch.

import { until } from './until.mjs';

const ELEMENT = 'element-6066-11e4-a52e-4f735466cecf';

/** Keys that have no character of their own. */
export const KEY = { enter: '\uE007', escape: '\uE00C', tab: '\uE004' };

/** What the driver answers when it refuses; `code` is WebDriver's own name for it. */
export class WebDriverError extends Error {
  constructor(code, message) {
    super(`${code}: ${message}`);
    this.code = code;
  }
}

async function call(url, method, body, signal) {
  const answer = await fetch(url, {
    method,
    signal,
    headers: { 'content-type': 'application/json; charset=utf-8' },
    body: method === 'POST' ? JSON.stringify(body ?? {}) : undefined,
  });
  const { value } = await answer.json();
  if (!answer.ok) throw new WebDriverError(value.error, value.message);
  return value;
}

/** One running app with its windows. */
export class Session {
  #url;

  constructor(url) {
    this.#url = url;
  }

  /** Starts `application` under the driver at `driver`. */
  static async start(driver, application, args = []) {
    const { sessionId } = await call(`${driver}/session`, 'POST', {
      capabilities: { alwaysMatch: { 'tauri:options': { application, args } } },
    });
    const session = new Session(`${driver}/session/${sessionId}`);
    await session.#post('timeouts', { script: 60_000, implicit: 0, pageLoad: 60_000 });
    return session;
  }

  /** Ends the app, without asking it. */
  async end() {
    await call(this.#url, 'DELETE');
  }

  #get(path) {
    return call(`${this.#url}/${path}`, 'GET');
  }

  #post(path, body) {
    return call(`${this.#url}/${path}`, 'POST', body);
  }

  /** The page that the current window shows. */
  location() {
    return this.#get('url');
  }

  /** Switches to the window whose page is `page`, as soon as there is one. */
  async switchTo(page, options) {
    await until(`the window with ${page}`, async () => {
      for (const handle of await this.#get('window/handles')) {
        await this.#post('window', { handle });
        // The address of the first page is the bare origin.
        if ((new URL(await this.location()).pathname.slice(1) || 'index.html') === page) return true;
      }
      return false;
    }, options);
  }

  /** Runs the body of a function in the page. */
  execute(script, ...args) {
    return this.#post('execute/sync', { script, args });
  }

  /** Runs the body of a function in the page, which calls its last argument when it has the answer. */
  executeLater(script, ...args) {
    return this.#post('execute/async', { script, args });
  }

  /**
   * Calls a command of the app as the current window, past its own script: `{ok}` or `{error}`.
   */
  invoke(command, args = {}) {
    return this.executeLater(
      `const [command, args, done] = arguments;
       window.__TAURI_INTERNALS__.invoke(command, args).then((ok) => done({ ok }), (error) => done({ error }));`,
      command,
      args,
    );
  }

  /** The element with this `data-testid`, once it is there and visible. */
  async find(testid, options) {
    return this.findCss(`[data-testid="${testid}"]`, options);
  }

  /** The first element that the selector finds, once it is there and visible. */
  findCss(selector, options) {
    return until(`${selector}`, async () => {
      const found = await this.#post('element', { using: 'css selector', value: selector });
      const id = found[ELEMENT];
      return (await this.#get(`element/${id}/displayed`)) && id;
    }, options);
  }

  /** Every element that the selector finds now. */
  async all(selector) {
    const found = await this.#post('elements', { using: 'css selector', value: selector });
    return found.map((element) => element[ELEMENT]);
  }

  /** Whether there is such an element at the moment. */
  async has(testid) {
    return (await this.all(`[data-testid="${testid}"]`)).length > 0;
  }

  /** Clicks, once the element is there, visible and enabled. */
  async click(testid, options) {
    await until(`${testid} to be clicked`, async () => {
      const id = await this.find(testid, { within: 500 });
      await this.clickElement(id);
      return true;
    }, options);
  }

  /** Clicks an element that was found; refuses to click what is disabled. */
  async clickElement(id) {
    if (!(await this.#get(`element/${id}/enabled`))) throw new Error('it is disabled');
    await this.#post(`element/${id}/click`);
  }

  /**
   * Clicks an element that takes its window off the screen. The driver may never answer such a click, so that is not
   * waited for: see what the click did.
   */
  async clickAway(testid) {
    const [id] = await this.all(`[data-testid="${testid}"]`);
    if (!id || !(await this.#get(`element/${id}/enabled`))) return;
    try {
      await call(`${this.#url}/element/${id}/click`, 'POST', undefined, AbortSignal.timeout(1000));
    } catch (error) {
      if (error.name !== 'TimeoutError') throw error;
    }
  }

  /** Types into a field, in place of what it holds. */
  async type(testid, text) {
    const id = await this.find(testid);
    await this.#post(`element/${id}/clear`);
    await this.#post(`element/${id}/value`, { text });
  }

  /** Presses one key, wherever the focus is. */
  press(key) {
    const actions = [{ type: 'keyDown', value: key }, { type: 'keyUp', value: key }];
    return this.#post('actions', { actions: [{ type: 'key', id: 'keyboard', actions }] });
  }

  /** What the element says. */
  async text(testid, options) {
    return this.#get(`element/${await this.find(testid, options)}/text`);
  }

  /** What an element says that was found. */
  elementText(id) {
    return this.#get(`element/${id}/text`);
  }

  /** Waits until the element says something that matches. */
  async says(testid, pattern, options) {
    return until(`${testid} to say ${pattern}`, async () => {
      const text = await this.text(testid, { within: 200 });
      return pattern.test(text) && text;
    }, options);
  }

  /** What the current window shows, as a PNG. */
  async screenshot() {
    return Buffer.from(await this.#get('screenshot'), 'base64');
  }

  /** Chooses a file in a field for files, as its dialog would. */
  async choose(testid, name, type, bytes) {
    await this.execute(
      `const [testid, name, type, base64] = arguments;
       const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
       const transfer = new DataTransfer();
       transfer.items.add(new File([bytes], name, { type }));
       const field = document.querySelector('[data-testid="' + testid + '"]');
       field.files = transfer.files;
       field.dispatchEvent(new Event('change', { bubbles: true }));`,
      testid,
      name,
      type,
      bytes.toString('base64'),
    );
  }

  /** The attribute of an element, or null. */
  async attribute(testid, name) {
    return this.#get(`element/${await this.find(testid)}/attribute/${name}`);
  }
}
