/**
 * The browsers under test: Chromium, and for the stories that run in all browsers also Firefox ESR and WebKitGTK.
 *
 * Playwright drives Chromium with its own protocol and Debian's Firefox with WebDriver BiDi. Playwright's version is limited by
 * Firefox ESR, which does not know the commands of newer versions. WebKitGTK supports only WebDriver: `webkit.js`.
 */
import { chromium, firefox } from 'playwright-core';

import { WebKit } from './webkit.js';

/**
 * The part of Playwright's page that the stories use; `webkit.js` implements it too.
 *
 * @typedef {object} Page
 * @property {(path: string) => Promise<unknown>} goto
 * @property {() => Promise<unknown>} goBack
 * @property {() => Promise<unknown>} goForward
 * @property {() => Promise<void>} bringToFront
 * @property {() => Promise<void>} close
 * @property {import('playwright-core').Page['evaluate']} evaluate
 * @property {(holds: (argument: any) => unknown, argument?: unknown) => Promise<unknown>} waitForFunction
 * @property {(css: string, options?: { hasText?: string }) => Locator} locator
 * @property {(label: string, options?: { exact?: boolean }) => Locator} getByLabel
 * @property {(text: string) => Locator} getByText
 * @property {(role: 'button' | 'link' | 'heading', options: RoleOptions) => Locator} getByRole
 */
/** @typedef {{ name?: string | RegExp, exact?: boolean, level?: number }} RoleOptions */
/**
 * @typedef {object} Locator
 * @property {() => Locator} first
 * @property {(css: string) => Locator} locator
 * @property {(role: 'button' | 'link' | 'heading', options: RoleOptions) => Locator} getByRole
 * @property {() => Promise<void>} waitFor
 * @property {() => Promise<void>} click
 * @property {(value: string) => Promise<void>} fill
 * @property {(label: string) => Promise<unknown>} selectOption
 * @property {() => Promise<number>} count
 * @property {() => Promise<string>} inputValue
 * @property {() => Promise<string>} innerText
 * @property {() => Promise<string[]>} allInnerTexts
 * @property {<T>(ask: (element: HTMLElement) => T) => Promise<T>} evaluate
 */
/**
 * @template {Page} [P=Page]
 * @typedef {object} Context Cookies and tabs of one person.
 * @property {(milliseconds: number) => void} setDefaultTimeout
 * @property {() => Promise<P>} newPage
 * @property {() => Promise<void>} close
 */
/**
 * @template {Page} [P=Page]
 * @typedef {object} Browser
 * @property {(options: import('playwright-core').BrowserContextOptions) => Promise<Context<P>>} newContext
 * @property {() => Promise<void>} close
 */

/** @typedef {'Chromium' | 'Firefox' | 'WebKitGTK'} BrowserName */

/** @type {readonly BrowserName[]} */
export const BROWSERS = ['Chromium', 'Firefox', 'WebKitGTK'];

/** @param {string[]} [args] @returns {Promise<Browser<import('playwright-core').Page>>} */
export function launchChromium(args = []) {
  return chromium.launch({
    executablePath: '/usr/bin/chromium',
    // Chromium's sandbox does not start for root.
    args: [...(process.getuid?.() === 0 ? ['--no-sandbox'] : []), ...args],
  });
}

/** @param {BrowserName} name @returns {Promise<Browser>} */
export async function launch(name) {
  switch (name) {
    case 'Chromium':
      return launchChromium();
    case 'Firefox':
      return firefox.launch({ channel: 'moz-firefox', executablePath: '/usr/bin/firefox-esr' });
    case 'WebKitGTK':
      return WebKit.launch();
  }
}
