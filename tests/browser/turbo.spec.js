/** The demo with Turbo: pages come and go within one document. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';

import { Demo } from './demo.js';
import { People } from './people.js';
import { TurboDemo } from './turbo.js';

/** @typedef {import('/bundles/orosynclive/page.js').OrosyncPage} OrosyncPage */
/** @typedef {{ visits: number, told: string[][] }} Tab */

describe('a document in which Turbo changes the pages', () => {
  /** @type {Demo} */
  let demo;
  /** @type {TurboDemo} */
  let turbo;
  /** @type {People} */
  let people;
  /** @type {People} */
  let colleagues;
  /** @type {import('./people.js').Person} */
  let anna;
  /** @type {import('./people.js').Person} */
  let ben;
  /** All of Anna's tab. @type {import('playwright-core').WebSocket[]} */
  let sockets;
  /** @type {string[]} */
  let errors;

  before(async () => {
    demo = await Demo.start();
    turbo = await TurboDemo.start(demo.url);
    [people, colleagues] = await Promise.all([People.gather(turbo.url), People.gather(demo.url)]);
    ben = await colleagues.signedIn('ben');
  });
  beforeEach(async () => {
    anna = await people.signedIn('anna');
    await anna.listens();
    // Of this tab alone: those of earlier tests stay open, and come back when Anna signs out in this one.
    const [opened, said] = [/** @type {import('playwright-core').WebSocket[]} */ ([]), /** @type {string[]} */ ([])];
    [sockets, errors] = [opened, said];
    anna.page.on('websocket', (socket) => opened.push(socket));
    anna.page.on('pageerror', (error) => said.push(error.message));
    // Turbo's progress bar is a style in the page, which the demo's policy does not allow.
    anna.page.on('console', (message) => message.type() === 'error' && !message.text().includes('inline style') && said.push(message.text()));
    await anna.open('/contacts');
    await anna.page.evaluate(() => {
      const tab = /** @type {Window & { tab?: Tab }} */ (window);
      tab.tab = { visits: 0, told: [] };
      document.addEventListener('turbo:load', () => {
        /** @type {Tab} */ (tab.tab).visits += 1;
      });
      document.addEventListener('orosync-outdated', (event) => {
        /** @type {Tab} */ (tab.tab).told.push(/** @type {CustomEvent} */ (event).detail.tags);
      });
    });
  });
  after(async () => {
    await Promise.all([people, colleagues].map((each) => each?.close()));
    turbo?.close();
    await demo?.stop();
  });

  /** What has happened in Anna's document since it was loaded; fails if it is another one by now. @returns {Promise<Tab>} */
  const tab = () => anna.page.evaluate(() => /** @type {Window & { tab?: Tab }} */ (window).tab ?? Promise.reject(new Error('a new document')));
  const openSockets = () => sockets.filter((socket) => !socket.isClosed()).length;

  /** Follows a link, and waits for the page. @param {string} name */
  async function follow(name) {
    const { visits } = await tab();
    await anna.page.getByRole('link', { name, exact: true }).first().click();
    await anna.page.waitForFunction((count) => (/** @type {Window & { tab?: Tab }} */ (window).tab?.visits ?? 0) > count, visits);
    await anna.listens();
  }

  /** @param {'goBack' | 'goForward'} way @param {string} heading of the page that comes */
  async function go(way, heading) {
    await anna.page[way]();
    await anna.page.getByRole('heading', { name: heading, level: 1 }).waitFor();
    await anna.listens();
  }

  it('has one connection, whatever is visited in it', async () => {
    for (let visits = 0; visits < 5; visits += 1) {
      await follow('Companies');
      await follow('Contacts');
    }

    assert.equal((await tab()).visits, 10);
    assert.equal(sockets.length, 1);
    assert.equal(openSockets(), 1);
    assert.deepEqual(errors, []);
  });

  it('hears of what it shows, and of nothing that it has shown before', async () => {
    await follow('Ada Lovelace');
    await follow('Companies');
    await ben.save(1, { Notes: 'Before she looks.' });
    await follow('Contacts');
    await follow('Alan Turing');

    await ben.save(1, { Notes: 'Not on this page.' });
    await ben.save(2, { Notes: 'On this page.' });

    assert.equal(await anna.isTold('outdated'), 'Ben changed what you see here.');
    assert.deepEqual((await tab()).told, [['Demo_Entity_Contact_2']]);
    assert.equal(await anna.flashes('outdated').count(), 1);
  });

  it('says on the way back what was changed meanwhile, and keeps no message that nobody listens to', async () => {
    await follow('Ada Lovelace');
    await follow('Companies');
    await ben.save(1, { Notes: 'While she looks at something else.' });

    await go('goBack', 'Ada Lovelace');
    assert.equal(await anna.isTold('outdated'), 'Ben changed what you see here.');
    await go('goForward', 'Companies');
    assert.equal(await anna.flashes('outdated').count(), 0);
    await go('goBack', 'Ada Lovelace');
    await anna.isTold('outdated');
    await anna.flashes('outdated').getByRole('button', { name: 'Dismiss' }).click();
    assert.equal(await anna.flashes('outdated').count(), 0);
    assert.equal(openSockets(), 1);
  });

  it('leaves a preview alone until the page comes', async () => {
    await follow('Companies');
    const session = (await anna.session()).session;
    /** @type {() => void} */
    let come = () => {};
    const mayCome = new Promise((resolve) => {
      come = () => resolve(undefined);
    });
    await anna.page.route('**/contacts', async (route) => {
      await mayCome;
      await route.continue();
    });

    await anna.page.getByRole('link', { name: 'Contacts', exact: true }).click();
    await anna.page.locator('html[data-turbo-preview]').waitFor();
    await ben.save(3, { Notes: 'In the list.' });
    // A document without a page would have closed its connection by now.
    await anna.page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 1_500)));
    assert.deepEqual((await tab()).told, []);
    come();
    await anna.page.locator('html:not([data-turbo-preview])').waitFor();
    await anna.listens();

    await ben.save(4, { Notes: 'In the list too.' });
    await anna.isTold('outdated');
    assert.deepEqual((await tab()).told, [['Demo_Entity_Contact_4']]);
    assert.equal((await anna.session()).session, session);
  });

  it('goes on after the answers to forms: 422, 409 and 303', async () => {
    /** @type {number[]} */
    const answers = [];
    anna.page.on('response', (response) => response.request().method() === 'POST' && response.url().endsWith('/edit') && answers.push(response.status()));
    await follow('Blaise Pascal');
    await follow('Edit');
    await anna.enter({ Name: ' ' });
    await anna.submit();
    await anna.page.locator('.field-error').waitFor();
    await anna.listens();

    await ben.save(3, { Phone: '+33 1 7946 0333' });
    await anna.isTold('outdated');
    await anna.enter({ Name: 'Blaise Pascal', Notes: 'Counts on it.' });
    await anna.submit();
    await anna.page.getByRole('heading', { name: 'Your changes were not saved' }).waitFor();
    await anna.page.getByRole('button', { name: 'Save mine over it' }).click();
    await anna.page.getByText('Your changes are saved.').waitFor();
    await anna.listens();
    assert.equal(await anna.flashes('outdated').count(), 0);

    await ben.save(3, { Notes: 'Once more.' });
    assert.equal(await anna.isTold('outdated'), 'Ben changed what you see here.');
    assert.deepEqual(answers, [422, 409, 303]);
    assert.equal(sockets.length, 1);
  });

  it('is right again where the page is loaded anew within its elements', async () => {
    await follow('Harry Nyquist');
    const heading = await anna.page.locator('h1').elementHandle();
    await ben.save(5, { Notes: 'First.' });
    await anna.isTold('outdated');

    await anna.page.evaluate(() => /** @type {Window & { Turbo?: any }} */ (window).Turbo.visit(location.href, { action: 'replace' }));
    await anna.page.getByText('First.').waitFor();
    await anna.listens();
    assert.ok(await heading?.evaluate((element) => element.isConnected), 'the elements are the same');
    assert.equal(await anna.flashes('outdated').count(), 0);

    await ben.save(5, { Notes: 'Second.' });
    await anna.isTold('outdated');
    assert.deepEqual((await tab()).told, [['Demo_Entity_Contact_5'], ['Demo_Entity_Contact_5']]);
    assert.equal(openSockets(), 1);
  });

  it('is whoever signs in, with a connection for each', async () => {
    assert.equal((await anna.session()).user, 'anna');
    await anna.page.getByRole('link', { name: 'Sign out' }).click();
    await anna.page.getByRole('link', { name: 'Sign in' }).first().waitFor();
    await anna.listens();
    assert.equal((await anna.session()).user, null);

    await anna.page.getByRole('link', { name: 'Sign in', exact: true }).first().click();
    await anna.page.getByLabel('Name').fill('carla');
    await anna.page.getByLabel('Password').fill('demo');
    await anna.page.getByRole('button', { name: 'Sign in' }).click();
    await anna.page.getByRole('link', { name: 'Sign out' }).waitFor();
    await anna.listens();
    assert.equal((await anna.session()).user, 'carla');
    await tab();
    assert.equal(sockets.length, 3);
    assert.equal(openSockets(), 1);
  });

  it('says of maintenance in each page until it is over, or until somebody has read it', async () => {
    await demo.console('orosync:maintenance', 'on');
    try {
      await anna.isTold('maintenance');
      await follow('Companies');
      await anna.isTold('maintenance');
      await anna.flashes('maintenance').getByRole('button', { name: 'Dismiss' }).click();
      await follow('Contacts');
      assert.equal(await anna.flashes('maintenance').count(), 0);
    } finally {
      await demo.console('orosync:maintenance', 'off');
    }
  });

  it('closes its connection when no page is left in it, and connects with the next one', async () => {
    const closed = sockets[0].waitForEvent('close');
    await anna.page.evaluate(() => document.querySelector('orosync-page')?.remove());
    await closed;

    await follow('Companies');
    assert.equal(sockets.length, 2);
    assert.equal(openSockets(), 1);
  });
});
