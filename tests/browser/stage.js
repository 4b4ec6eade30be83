/**
 * The fixture of the stories that run in each browser: a demo, the same with Turbo, and the browser under test. Other users of a
 * story have Chromium.
 *
 * Owns all of them until `close()`.
 */
import { launch } from './browsers.js';
import { Demo } from './demo.js';
import { People } from './people.js';
import { TurboDemo } from './turbo.js';

/** @typedef {import('./browsers.js').Page} Page */
/** @typedef {import('./people.js').Person<Page>} Person  a user in the browser under test */

export class Stage {
  #browser;

  /**
   * @param {Demo} demo
   * @param {TurboDemo} turbo
   * @param {import('./browsers.js').Browser} browser
   * @param {import('./browsers.js').Browser<import('playwright-core').Page>} chromium
   */
  constructor(demo, turbo, browser, chromium) {
    this.demo = demo;
    this.turbo = turbo;
    this.#browser = browser;
    this.people = new People(browser, demo.url);
    this.peopleWithTurbo = new People(browser, turbo.url);
    this.colleagues = new People(chromium, demo.url);
  }

  /** @param {import('./browsers.js').BrowserName} name @param {import('./browsers.js').Browser<import('playwright-core').Page>} chromium */
  static async open(name, chromium) {
    const browser = await launch(name);
    try {
      const demo = await Demo.start();
      return new Stage(demo, await TurboDemo.start(demo.url), browser, chromium);
    } catch (failure) {
      await browser.close();
      throw failure;
    }
  }

  async close() {
    await this.#browser.close();
    this.turbo.close();
    await this.demo.stop();
  }
}
