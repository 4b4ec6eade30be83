/** The demo with Turbo: pages change within one document. */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';

/** @typedef {{ visits: number, told: string[][], heading?: Element | null }} Tab */
/** @typedef {Window & { tab?: Tab, witness?: { sockets: WebSocket[], errors: string[] } }} TabWindow */

/** @param {() => import('./stage.js').Stage} stage */
export const turboStory = (stage) => describe('a document in which Turbo changes the pages', () => {
  /** @type {import('./stage.js').Person} */
  let anna;
  /** @type {import('./people.js').Person} */
  let ben;

  before(async () => {
    ben = await stage().colleagues.signedIn('ben');
  });
  beforeEach(async () => {
    anna = await stage().peopleWithTurbo.signedIn('anna');
    await anna.open('/contacts');
    await anna.page.evaluate(() => {
      /** @type {Tab} */
      const tab = { visits: 0, told: [] };
      /** @type {TabWindow} */ (window).tab = tab;
      document.addEventListener('turbo:load', () => {
        tab.visits += 1;
      });
      document.addEventListener('orosync-outdated', (event) => {
        tab.told.push(/** @type {CustomEvent} */ (event).detail.tags);
      });
    });
  });
  afterEach(() => anna?.leave());
  after(() => ben?.leave());

  /** Records of Anna's document since it was loaded. Fails if the document was replaced. */
  const tab = () => anna.page.evaluate(() => {
    const { tab: { visits, told } = {}, witness } = /** @type {TabWindow} */ (window);
    if (visits === undefined || told === undefined || witness === undefined) {
      throw new Error('a new document');
    }
    const open = witness.sockets.filter((socket) => socket.readyState <= WebSocket.OPEN).length;
    return { visits, told, sockets: witness.sockets.length, open, errors: witness.errors };
  });

  /** Follows a link, and waits for the page. @param {string} name */
  async function follow(name) {
    const { visits } = await tab();
    await anna.page.getByRole('link', { name, exact: true }).first().click();
    await anna.page.waitForFunction((count) => (/** @type {TabWindow} */ (window).tab?.visits ?? 0) > count, visits);
    await anna.isSubscribed();
  }

  /** @param {'goBack' | 'goForward'} way @param {string} heading of the page that comes */
  async function go(way, heading) {
    await anna.page[way]();
    await anna.page.getByRole('heading', { name: heading, level: 1 }).waitFor();
    await anna.isSubscribed();
  }

  async function signInAsCarla() {
    // Input in the preview of a page is lost when the page arrives.
    await follow('Sign in');
    await anna.page.getByLabel('Name').fill('carla');
    await anna.page.getByLabel('Password').fill('demo');
    await anna.page.getByRole('button', { name: 'Sign in' }).click();
    await anna.page.getByRole('link', { name: 'Sign out' }).waitFor();
    await anna.isSubscribed();
  }

  it('has one connection for all visits', async () => {
    for (let visits = 0; visits < 5; visits += 1) {
      await follow('Companies');
      await follow('Contacts');
    }

    assert.deepEqual(await tab(), { visits: 10, told: [], sockets: 1, open: 1, errors: [] });
  });

  it('receives changes of the present page, but not of earlier pages', async () => {
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

  it('reports changes in the meantime on a restored page, whose snapshot contains no messages', async () => {
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
    assert.equal((await tab()).open, 1);
  });

  it('ignores a preview until the page arrives', async () => {
    await follow('Companies');
    const session = (await anna.session()).session;
    const come = stage().turbo.hold('/contacts');

    await anna.page.getByRole('link', { name: 'Contacts', exact: true }).click();
    await anna.page.locator('html[data-turbo-preview]').waitFor();
    await ben.save(3, { Notes: 'In the list.' });
    // A document without a page element would have closed its connection by now.
    await anna.page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 1_500)));
    assert.deepEqual((await tab()).told, []);
    come();
    await anna.page.locator('html:not([data-turbo-preview])').waitFor();
    await anna.isSubscribed();

    // Saved after the page was requested: the page may show the change or not.
    await anna.isTold('outdated');
    assert.deepEqual((await tab()).told, [['Demo_Entity_Contact_3']]);

    await ben.save(4, { Notes: 'In the list too.' });
    await anna.page.waitForFunction(() => (/** @type {TabWindow} */ (window).tab?.told.length ?? 0) > 1);
    assert.deepEqual((await tab()).told, [['Demo_Entity_Contact_3'], ['Demo_Entity_Contact_4']]);
    assert.equal((await anna.session()).session, session);
  });

  it('continues after the responses 422, 409 and 303 to forms', async () => {
    stage().turbo.posted.length = 0;
    await follow('Blaise Pascal');
    await follow('Edit');
    await anna.enter({ Name: ' ' });
    await anna.submit();
    await anna.page.locator('.field-error').waitFor();
    await anna.isSubscribed();

    await ben.save(3, { Phone: '+33 1 7946 0333' });
    await anna.isTold('outdated');
    await anna.enter({ Name: 'Blaise Pascal', Notes: 'Counts on it.' });
    await anna.submit();
    await anna.page.getByRole('heading', { name: 'Your changes were not saved' }).waitFor();
    await anna.page.getByRole('button', { name: 'Overwrite with mine' }).click();
    await anna.page.getByText('Your changes are saved.').waitFor();
    await anna.isSubscribed();
    assert.equal(await anna.flashes('outdated').count(), 0);

    await ben.save(3, { Notes: 'Once more.' });
    assert.equal(await anna.isTold('outdated'), 'Ben changed what you see here.');
    assert.deepEqual(stage().turbo.posted.map(({ path, status }) => [path, status]), [422, 409, 303].map((status) => ['/contacts/3/edit', status]));
    assert.equal((await tab()).sockets, 1);
  });

  it('is current again after a reload that morphs the page', async () => {
    await follow('Harry Nyquist');
    await anna.page.evaluate(() => {
      /** @type {Tab} */ (/** @type {TabWindow} */ (window).tab).heading = document.querySelector('h1');
    });
    await ben.save(5, { Notes: 'First.' });
    await anna.isTold('outdated');

    await anna.page.evaluate(() => /** @type {Window & { Turbo?: any }} */ (window).Turbo.visit(location.href, { action: 'replace' }));
    await anna.page.getByText('First.').waitFor();
    await anna.isSubscribed();
    assert.ok(await anna.page.evaluate(() => /** @type {TabWindow} */ (window).tab?.heading?.isConnected), 'the elements are the same');
    assert.equal(await anna.flashes('outdated').count(), 0);

    await ben.save(5, { Notes: 'Second.' });
    await anna.isTold('outdated');
    assert.deepEqual((await tab()).told, [['Demo_Entity_Contact_5'], ['Demo_Entity_Contact_5']]);
    assert.equal((await tab()).open, 1);
  });

  it('has a new connection after each login', async () => {
    assert.equal((await anna.session()).user, 'anna');
    await follow('Sign out');
    assert.equal((await anna.session()).user, null);

    await signInAsCarla();
    assert.equal((await anna.session()).user, 'carla');
    const { sockets, open } = await tab();
    assert.deepEqual({ sockets, open }, { sockets: 3, open: 1 });
  });

  it('keeps the subscriptions of its scripts after a login', async () => {
    await anna.page.evaluate(async () => {
      const { client } = await import('/bundles/orosynclive/page.js');
      client.subscribe('demo/board', () => /** @type {TabWindow} */ (window).tab?.told.push(['demo/board']));
    });
    await follow('Sign out');
    await signInAsCarla();

    await ben.saveRecord('/deals/1', { 'Value in €': '4200' });

    await anna.page.waitForFunction(() => /** @type {TabWindow} */ (window).tab?.told.some(([tag]) => tag === 'demo/board'));
  });

  it('shows maintenance in each page until its end or until the message is dismissed', async () => {
    await stage().demo.console('orosync:maintenance', 'on');
    try {
      await anna.isTold('maintenance');
      await follow('Companies');
      await anna.isTold('maintenance');
      await anna.flashes('maintenance').getByRole('button', { name: 'Dismiss' }).click();
      await follow('Contacts');
      assert.equal(await anna.flashes('maintenance').count(), 0);
    } finally {
      await stage().demo.console('orosync:maintenance', 'off');
    }
  });

  it('closes its connection when no page element is left, and connects with the next one', async () => {
    await anna.page.evaluate(() => document.querySelector('orosync-page')?.remove());
    await anna.page.waitForFunction(() => /** @type {TabWindow} */ (window).witness?.sockets[0].readyState === WebSocket.CLOSED);

    await follow('Companies');
    const { sockets, open } = await tab();
    assert.deepEqual({ sockets, open }, { sockets: 2, open: 1 });
  });
});
