/**
 * Users of the demo. Each has a browser context of their own, so cookies are not shared.
 *
 * Owns the browser; `close()` ends it with all contexts.
 */
import { launchChromium } from './browsers.js';

/** Time limit for a page to show the expected content. */
const PATIENCE_MS = 15_000;

/** @typedef {import('playwright-core').BrowserContextOptions} Options */

/** @template {import('./browsers.js').Page} [P=import('playwright-core').Page] */
export class People {
  #browser;
  #url;

  /** @param {import('./browsers.js').Browser<P>} browser @param {string} url of the demo */
  constructor(browser, url) {
    this.#browser = browser;
    this.#url = url;
  }

  /**
   * @param {string} url of the demo
   * @param {{ through?: number }} [options] `through`: port of a proxy for the connections to the demo
   * @returns {Promise<People>}
   */
  static async gather(url, { through } = {}) {
    const { host, hostname } = new URL(url);
    const args = through === undefined ? [] : [`--host-resolver-rules=MAP ${host} ${hostname}:${through}`];
    return new People(await launchChromium(args), url);
  }

  /** A user without a login. @param {Options} [options] @returns {Promise<Person<P>>} */
  async visitor(options = {}) {
    const context = await this.#browser.newContext({ baseURL: this.#url, ...options });
    context.setDefaultTimeout(PATIENCE_MS);
    return new Person(context, await context.newPage());
  }

  /**
   * Anna is an administrator, Ben and Carla are in sales, Dora and Emil are customers of two companies.
   *
   * @param {'anna' | 'ben' | 'carla' | 'dora' | 'emil'} name @param {Options} [options]
   */
  async signedIn(name, options) {
    const person = await this.visitor(options);
    await person.goto('/login');
    await person.page.getByLabel('Name').fill(name);
    await person.page.getByLabel('Password').fill('demo');
    await person.page.getByRole('button', { name: 'Sign in' }).click();
    await person.page.getByRole('link', { name: 'Sign out' }).waitFor();
    return person;
  }

  async close() {
    await this.#browser.close();
  }
}

/** @template {import('./browsers.js').Page} [P=import('playwright-core').Page] */
export class Person {
  #context;

  /** @param {import('./browsers.js').Context<P>} context @param {P} page */
  constructor(context, page) {
    this.#context = context;
    this.page = page;
  }

  /** Opens another tab for the same user. @returns {Promise<Person<P>>} */
  async inAnotherTab() {
    return new Person(this.#context, await this.#context.newPage());
  }

  /** Closes this tab. */
  async close() {
    await this.page.close();
  }

  /** Closes all tabs of this user. */
  async leave() {
    await this.#context.close();
  }

  /**
   * Opens a page after the present one has loaded. Otherwise Firefox 153 (NavigationManager) takes the end of the first load for
   * that of the second one, and reports a third one, which Playwright refuses.
   *
   * @param {string} path
   */
  async goto(path) {
    await this.page.waitForFunction(() => document.readyState === 'complete');
    await this.page.goto(path);
  }

  /** Opens a page and waits until it is subscribed. @param {string} path */
  async open(path) {
    // Chromium throttles hidden tabs.
    await this.page.bringToFront();
    await this.goto(path);
    await this.isSubscribed();
  }

  /**
   * Waits until the page is connected and the server has processed its subscriptions: it answers calls in order. Waits again if
   * the connection is lost meanwhile.
   */
  async isSubscribed() {
    await this.page.locator('#live[data-state=connected]').waitFor();
    await this.session();
  }

  /**
   * Watches for this text about the connection in the page, even if it is shown only for a moment.
   *
   * @param {string} text
   * @returns {Promise<() => Promise<void>>} waits until it was shown
   */
  async watchesFor(text) {
    await this.page.evaluate((wanted) => {
      const live = /** @type {HTMLElement} */ (document.querySelector('#live'));
      const page = /** @type {Window & { said?: Promise<void> }} */ (window);
      page.said = new Promise((resolve) => {
        const observer = new MutationObserver(() => live.textContent?.includes(wanted) && resolve());
        observer.observe(live, { attributes: true, characterData: true, childList: true, subtree: true });
      });
    }, text);
    return () => this.page.evaluate(() => /** @type {Window & { said?: Promise<void> }} */ (window).said);
  }

  /** The server's view of the page's session: its id, node and user. */
  async session() {
    return this.page.evaluate(async () => {
      const { client } = await import('/bundles/orosynclive/page.js');
      return /** @type {{ session: string, node: string, user: string | null }} */ (await client.call('orosync/session'));
    });
  }

  /** Number of the page's node, from a page of a demo with several nodes. */
  async node() {
    const text = await this.page.locator('#live[data-state=connected]', { hasText: 'Live on node' }).innerText();
    return Number(text.replace('Live on node ', ''));
  }

  /** @param {string} sessionId @param {{ within?: number }} [limit] milliseconds */
  async hasAnotherSessionThan(sessionId, { within = PATIENCE_MS } = {}) {
    await this.page.evaluate(async ([known, milliseconds]) => {
      const { client } = await import('/js/page.js');
      await new Promise((resolve, reject) => {
        setTimeout(() => reject(new Error(`no other session within ${milliseconds} ms`)), milliseconds);
        client.on('connected', resolve);
        if (client.sessionId !== null && client.sessionId !== known) {
          resolve(undefined);
        }
      });
    }, /** @type {const} */ ([sessionId, within]));
  }

  /** Ends the page's connection. */
  async disconnects() {
    await this.page.evaluate(async () => {
      const { client } = await import('/bundles/orosynclive/page.js');
      client.close();
    });
  }

  /** Reconnects after `disconnects()`. */
  async connects() {
    await this.page.evaluate(async () => {
      const { client } = await import('/bundles/orosynclive/page.js');
      client.connect();
    });
  }

  /** Dispatches the event of a tab that becomes visible, or of a changed network. */
  async wakesUp(/** @type {'visibilitychange' | 'online'} */ event) {
    await this.page.evaluate((type) => {
      (type === 'online' ? window : document).dispatchEvent(new Event(type));
    }, event);
  }

  /** Edits a contact and saves. @param {number} id @param {Record<string, string>} fields by their labels */
  async save(id, fields) {
    await this.saveRecord(`/contacts/${id}`, fields);
  }

  /** Edits the form of a page and saves it. @param {string} path of the page @param {Record<string, string>} fields by their labels */
  async saveRecord(path, fields) {
    await this.goto(`${path}/edit`);
    await this.enter(fields);
    await this.submit();
    await this.page.getByText('Your changes are saved.').waitFor();
  }

  /** @param {Record<string, string>} fields by their labels */
  async enter(fields) {
    for (const [label, value] of Object.entries(fields)) {
      const field = this.page.getByLabel(label, { exact: true });
      if (await field.evaluate((element) => element.tagName === 'SELECT')) {
        await field.selectOption(value);
      } else {
        await field.fill(value);
      }
    }
  }

  async submit() {
    await this.page.getByRole('button', { name: /^(Save|Add)/ }).click();
  }

  /**
   * Collects the page's events of some topics until the first event of the last topic, and the refused topics. Call
   * `isSubscribed()` before the events are published.
   *
   * @param {string[]} topics
   * @returns {Promise<{ received: { topic: string, payload: unknown }[], refused: string[] }>}
   */
  collectEvents(topics) {
    return this.page.evaluate(async (all) => {
      const { client } = await import('/js/page.js');
      /** @type {{ topic: string, payload: unknown }[]} */
      const received = [];
      /** @type {string[]} */
      const refused = [];
      client.on('refused', ({ topic }) => refused.push(topic));
      return new Promise((resolve) => {
        all.forEach((topic, index) => client.subscribe(topic, (payload) => {
          received.push({ topic, payload });
          if (index === all.length - 1) {
            resolve({ received, refused });
          }
        }));
      });
    }, topics);
  }

  /** Moves a deal on the board, and waits for its event. @param {string} deal @param {string} stage */
  async moves(deal, stage) {
    const received = this.collectEvents(['demo/board']);
    await this.isSubscribed();
    await this.page.getByRole('button', { name: `Move ${deal} to ${stage}` }).click();
    await received;
  }

  /** The flash messages of the page. @param {'outdated' | 'maintenance'} kind */
  flashes(kind) {
    return /** @type {ReturnType<P['locator']>} */ (this.page.locator(`.orosync-flash--${kind}`));
  }

  /** Waits for one message. Returns its text. @param {'outdated' | 'maintenance'} kind */
  async isTold(kind) {
    return this.flashes(kind).locator('.orosync-flash__message').innerText();
  }
}
