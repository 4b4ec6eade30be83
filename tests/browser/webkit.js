/**
 * WebKitGTK over WebDriver, with the part of Playwright's interface that the stories use (`browsers.js`). The WebDriver client is
 * Selenium's last version for Node 20.
 *
 * Owns a display (Xvfb) and, for each user, a WebKitWebDriver with one session of MiniBrowser, until `close()`. Bounds: an
 * operation waits at most the context's default timeout, and 30 seconds for an answer of the driver. A driver whose browser
 * does not start is replaced up to two times.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';

import { Builder, Capabilities, WebDriver, error } from 'selenium-webdriver';

/** Time limit for the start of a program. */
const START_LIMIT_MS = 20_000;
/** Time limit for one command of the driver: longer than the limits of pages and scripts. */
const ANSWER_LIMIT_MS = 30_000;
/** If the browser dies at its start, the driver keeps waiting for it (WebKitGTK 2.50). */
const STARTS = 3;
const POLL_MS = 50;

/**
 * A step of a search for elements; each step searches within the results of the previous one.
 *
 * @typedef {{ css: string, text?: string, exact?: boolean } | { label: string, exact?: boolean } | { text: string } | { pattern: string, css: string } | { first: true }} Step
 */

/** @typedef {import('./browsers.js').RoleOptions} RoleOptions */

export class WebKit {
  #display;
  #xvfb;
  /** @type {Set<WebKitContext>} */
  #contexts = new Set();

  /** @param {import('node:child_process').ChildProcess} xvfb @param {string} display */
  constructor(xvfb, display) {
    this.#xvfb = xvfb;
    this.#display = display;
  }

  static async launch() {
    const args = ['-displayfd', '1', '-screen', '0', '1280x1024x24', '-nolisten', 'tcp'];
    const xvfb = spawn('Xvfb', args, { stdio: ['ignore', 'pipe', 'ignore'] });
    try {
      const [number] = await once(xvfb.stdout, 'data', { signal: AbortSignal.timeout(START_LIMIT_MS) });
      return new WebKit(xvfb, `:${String(number).trim()}`);
    } catch (failure) {
      xvfb.kill();
      throw failure;
    }
  }

  /** @param {{ baseURL?: string }} options */
  async newContext({ baseURL }) {
    const context = await WebKitContext.open(this.#display, baseURL);
    this.#contexts.add(context);
    return context;
  }

  async close() {
    await Promise.all([...this.#contexts].map((context) => context.close()));
    this.#xvfb.kill();
  }
}

class WebKitContext {
  #driverProcess;
  #hasPage = false;
  #isClosed = false;

  /**
   * @param {import('node:child_process').ChildProcess} driverProcess
   * @param {import('selenium-webdriver').WebDriver} driver
   * @param {string | undefined} baseURL
   */
  constructor(driverProcess, driver, baseURL) {
    this.#driverProcess = driverProcess;
    this.driver = driver;
    this.baseURL = baseURL;
    this.patience = START_LIMIT_MS;
  }

  /** @param {string} display @param {string | undefined} baseURL */
  static async open(display, baseURL) {
    for (let start = 1; ; start += 1) {
      try {
        return await WebKitContext.#start(display, baseURL);
      } catch (failure) {
        if (start === STARTS) {
          throw failure;
        }
        console.error(`WebKitGTK did not start, and is started again: ${failure}`);
      }
    }
  }

  /** @param {string} display @param {string | undefined} baseURL */
  static async #start(display, baseURL) {
    const port = await freePort();
    const env = { ...process.env, DISPLAY: display };
    // Leads a process group that includes its browser.
    const driverProcess = spawn('WebKitWebDriver', [`--port=${port}`], { env, stdio: 'ignore', detached: true });
    const url = `http://127.0.0.1:${port}`;
    try {
      await poll(START_LIMIT_MS, 'WebKitWebDriver answers', async () => (await fetch(`${url}/status`)).ok);
      const capabilities = new Capabilities({ browserName: 'MiniBrowser' });
      const builder = new Builder().disableEnvironmentOverrides().usingServer(url).withCapabilities(capabilities);
      const started = await answered('the start of a session', builder.build());
      const driver = new BoundedDriver(started.getSession(), started.getExecutor());
      await driver.manage().setTimeouts({ pageLoad: START_LIMIT_MS, script: START_LIMIT_MS });
      return new WebKitContext(driverProcess, driver, baseURL);
    } catch (failure) {
      killGroup(driverProcess);
      throw failure;
    }
  }

  /** @param {number} milliseconds */
  setDefaultTimeout(milliseconds) {
    this.patience = milliseconds;
  }

  async newPage() {
    if (this.#hasPage) {
      // MiniBrowser does not bring a tab to the front, and a hidden tab runs no animations: a message would stay transparent.
      await this.driver.switchTo().newWindow('window');
    }
    this.#hasPage = true;
    return new WebKitPage(this, await this.driver.getWindowHandle());
  }

  async close() {
    if (!this.#isClosed) {
      this.#isClosed = true;
      killGroup(this.#driverProcess);
    }
  }
}

class BoundedDriver extends WebDriver {
  /** @override @template T @param {import('selenium-webdriver/lib/command.js').Command} command @returns {Promise<T>} */
  execute(command) {
    return answered(command.getName(), /** @type {Promise<any>} */ (super.execute(command)));
  }
}

/**
 * Adds a time limit and an error for a truncated answer, which Selenium's client does not have.
 *
 * @template T @param {string} what name of the command @param {Promise<T>} answer @returns {Promise<T>}
 */
async function answered(what, answer) {
  /** @type {NodeJS.Timeout | undefined} */
  let limit;
  /** @type {Promise<never>} */
  const tooLate = new Promise((_, reject) => {
    const failure = new Error(`WebKitWebDriver did not answer within ${ANSWER_LIMIT_MS} ms: ${what}`);
    limit = setTimeout(reject, ANSWER_LIMIT_MS, failure);
  });
  try {
    return await Promise.race([answer, tooLate]);
  } finally {
    clearTimeout(limit);
  }
}

/** @param {import('node:child_process').ChildProcess} leader */
function killGroup({ pid }) {
  try {
    process.kill(-Number(pid), 'SIGKILL');
  } catch (failure) {
    // It has already ended.
    if (!(failure instanceof Error && 'code' in failure && failure.code === 'ESRCH')) {
      throw failure;
    }
  }
}

/** @implements {Page} @typedef {import('./browsers.js').Page} Page */
export class WebKitPage {
  #context;
  #handle;

  /** @param {WebKitContext} context @param {string} handle of its window */
  constructor(context, handle) {
    this.#context = context;
    this.#handle = handle;
  }

  /** The driver, switched to this window. */
  async driver() {
    await this.#context.driver.switchTo().window(this.#handle);
    return this.#context.driver;
  }

  /** @param {string} path */
  async goto(path) {
    await (await this.driver()).get(new URL(path, this.#context.baseURL).href);
  }

  async goBack() {
    await (await this.driver()).navigate().back();
  }

  async goForward() {
    await (await this.driver()).navigate().forward();
  }

  async bringToFront() {
    await this.driver();
  }

  async close() {
    await (await this.driver()).close();
  }

  /** @type {import('playwright-core').Page['evaluate']} */
  async evaluate(/** @type {unknown} */ run, /** @type {unknown} */ argument) {
    const script = `const done = arguments[1];
      Promise.resolve(arguments[0]).then(${run}).then((value) => done({ value }), (reason) => done({ failure: String(reason) }));`;
    const driver = await this.driver();
    const { value, failure } = /** @type {{ value?: any, failure?: string }} */ (await driver.executeAsyncScript(script, argument));
    if (failure !== undefined) {
      throw new Error(failure);
    }
    return value;
  }

  /** @param {(argument: any) => unknown} holds @param {unknown} [argument] */
  async waitForFunction(holds, argument) {
    await this.waitUntil(String(holds), () => this.evaluate(holds, argument));
  }

  /** @param {string} css @param {{ hasText?: string }} [options] */
  locator(css, { hasText } = {}) {
    return new WebKitLocator(this, [{ css, text: hasText }]);
  }

  /** @param {string} label @param {{ exact?: boolean }} [options] */
  getByLabel(label, { exact } = {}) {
    return new WebKitLocator(this, [{ label, exact }]);
  }

  /** @param {string} text */
  getByText(text) {
    return new WebKitLocator(this, [{ text }]);
  }

  /** @param {'button' | 'link' | 'heading'} role @param {RoleOptions} options */
  getByRole(role, options) {
    return new WebKitLocator(this, []).getByRole(role, options);
  }

  /**
   * @template T
   * @param {string} what
   * @param {() => Promise<T>} ask
   * @returns {Promise<NonNullable<T>>} the first answer that is not empty
   */
  waitUntil(what, ask) {
    return poll(this.#context.patience, what, ask);
  }
}

/** @implements {Locator} @typedef {import('./browsers.js').Locator} Locator */
class WebKitLocator {
  #page;
  #steps;

  /** @param {WebKitPage} page @param {Step[]} steps */
  constructor(page, steps) {
    this.#page = page;
    this.#steps = steps;
  }

  first() {
    return this.#then({ first: true });
  }

  /** @param {string} css */
  locator(css) {
    return this.#then({ css });
  }

  /** @param {'button' | 'link' | 'heading'} role @param {RoleOptions} options */
  getByRole(role, { name, exact, level }) {
    const css = { button: 'button', link: 'a[href]', heading: level === undefined ? 'h1, h2, h3' : `h${level}` }[role];
    return this.#then(name instanceof RegExp ? { css, pattern: name.source } : { css, text: name, exact });
  }

  async waitFor() {
    await this.#visible();
  }

  async click() {
    await this.#act((element) => element.click());
  }

  /** @param {string} value */
  async fill(value) {
    await this.#act(async (element) => {
      await element.clear();
      await element.sendKeys(value);
    });
  }

  /** @param {string} label */
  async selectOption(label) {
    await this.#act((element) => element.sendKeys(label));
  }

  async count() {
    return (await this.#all()).length;
  }

  async inputValue() {
    return this.evaluate((element) => /** @type {HTMLInputElement} */ (element).value);
  }

  async innerText() {
    return this.evaluate((element) => element.innerText);
  }

  async allInnerTexts() {
    const driver = await this.#page.driver();
    return /** @type {Promise<string[]>} */ (driver.executeScript(`return (${find})(arguments[0]).map((element) => element.innerText)`, this.#steps));
  }

  /** @template T @param {(element: HTMLElement) => T} ask @returns {Promise<T>} */
  async evaluate(ask) {
    return this.#act(async (element) => {
      const driver = await this.#page.driver();
      return /** @type {Promise<T>} */ (driver.executeScript(`return (${ask})(arguments[0])`, element));
    });
  }

  /** @param {Step} step */
  #then(step) {
    return new WebKitLocator(this.#page, [...this.#steps, step]);
  }

  /** @returns {Promise<import('selenium-webdriver').WebElement[]>} */
  async #all() {
    const driver = await this.#page.driver();
    return driver.executeScript(`return (${find})(arguments[0])`, this.#steps);
  }

  #visible() {
    return this.#page.waitUntil(JSON.stringify(this.#steps), async () => {
      for (const element of await this.#all()) {
        if (await element.isDisplayed()) {
          return element;
        }
      }
      return null;
    });
  }

  /** Acts on the element once; if the page has replaced it meanwhile, on its replacement.
   * @template T @param {(element: import('selenium-webdriver').WebElement) => Promise<T>} act @returns {Promise<T>} */
  async #act(act) {
    const { value } = await this.#page.waitUntil(JSON.stringify(this.#steps), async () => ({ value: await act(await this.#visible()) }));
    return value;
  }
}

/** Runs in the page. @param {Step[]} steps @returns {Element[]} */
function find(steps) {
  /** Accessible name or text. @type {(element: Element) => string} */
  const textOf = (element) => (element.ariaLabel ?? element.textContent ?? '').replace(/\s+/g, ' ').trim();
  /** @type {(element: Element, wanted: string | undefined, exact?: boolean) => boolean} */
  const has = (element, wanted, exact = false) => wanted === undefined
    || (exact ? textOf(element) === wanted : textOf(element).toLowerCase().includes(wanted.toLowerCase()));
  /** @type {(Document | Element)[]} */
  let found = [document];
  for (const step of steps) {
    if ('first' in step) {
      found = found.slice(0, 1);
      continue;
    }
    found = found.flatMap((scope) => {
      if ('label' in step) {
        const labels = [...scope.querySelectorAll('label')].filter((label) => has(label, step.label, step.exact));
        return labels.flatMap((label) => label.control ?? []);
      }
      if ('pattern' in step) {
        return [...scope.querySelectorAll(step.css)].filter((element) => new RegExp(step.pattern).test(textOf(element)));
      }
      if ('css' in step) {
        return [...scope.querySelectorAll(step.css)].filter((element) => has(element, step.text, step.exact));
      }
      // The innermost matches.
      return [...scope.querySelectorAll('body *')].filter((element) => has(element, step.text)
        && ![...element.children].some((child) => has(child, step.text)));
    });
  }
  return /** @type {Element[]} */ (found);
}

/**
 * @template T
 * @param {number} limit milliseconds
 * @param {string} what
 * @param {() => Promise<T>} ask
 * @returns {Promise<NonNullable<T>>} the first answer that is not empty
 */
async function poll(limit, what, ask) {
  const end = Date.now() + limit;
  /** @type {unknown} */
  let failure;
  do {
    try {
      const answer = await ask();
      if (answer) {
        return answer;
      }
    } catch (caught) {
      // The page is being replaced, or the program is starting.
      const passes = caught instanceof error.WebDriverError || caught instanceof TypeError;
      if (!passes) {
        throw caught;
      }
      failure = caught;
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  } while (Date.now() < end);
  throw new Error(`timed out after ${limit} ms: ${what}`, { cause: failure });
}

/** @returns {Promise<number>} */
async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  server.close();
  await once(server, 'close');
  return port;
}
