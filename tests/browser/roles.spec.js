/** Access of the roles: back office, administrators, customers, users without a login. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { Demo } from './demo.js';
import { People } from './people.js';

const ADMIN_PAGES = ['/import', '/status', '/status/server', '/status/php'];
const OFFICE_PAGES = ['/board', '/contacts', '/contacts/1', '/contacts/1/edit', '/companies', '/companies/5', '/deals', '/deals/1'];

describe('a role', () => {
  /** @type {Demo} */
  let demo;
  /** @type {People} */
  let people;
  /** @type {import('./people.js').Person} */
  let ben;
  /** @type {import('./people.js').Person} */
  let dora;

  before(async () => {
    demo = await Demo.start();
    people = await People.gather(demo.url);
    [ben, dora] = await Promise.all([people.signedIn('ben'), people.signedIn('dora')]);
  });
  after(async () => {
    await people?.close();
    await demo?.stop();
  });

  it('of sales may see the records, but not the pages of an administrator', async () => {
    assert.deepEqual(await statusOf(ben, OFFICE_PAGES), Array(OFFICE_PAGES.length).fill(200));
    assert.deepEqual(await statusOf(ben, ADMIN_PAGES), Array(ADMIN_PAGES.length).fill(403));
    assert.equal((await ben.page.request.post('/import')).status(), 403);
    assert.equal((await ben.page.request.post('/maintenance')).status(), 403);
    await ben.goto('/board');
    assert.equal(await ben.page.getByRole('link', { name: 'Import' }).count(), 0);
  });

  it('of a customer may see its orders, but no page of the back office', async () => {
    assert.deepEqual(await statusOf(dora, ['/orders']), [200]);
    assert.deepEqual(await statusOf(dora, OFFICE_PAGES), Array(OFFICE_PAGES.length).fill(403));
    assert.deepEqual(await statusOf(dora, ADMIN_PAGES), Array(ADMIN_PAGES.length).fill(403));
    assert.equal((await dora.page.request.post('/board/1')).status(), 403);
  });

  it('without a login is redirected to the login page', async () => {
    const visitor = await people.visitor();
    await visitor.goto('/board');
    await visitor.page.getByRole('heading', { name: 'Sign in' }).waitFor();
  });

  it('gets a 404 instead of the login page for a missing page', async () => {
    await ben.goto('/nowhere');
    await ben.page.getByRole('heading', { name: 'There is no such page' }).waitFor();
    assert.equal(await ben.page.getByRole('link', { name: 'Sign in' }).count(), 0);
  });

  it('of a customer receives changes to orders of its own company only', async () => {
    await dora.open('/orders');
    assert.deepEqual(await dora.page.locator('.order h2').allInnerTexts(), [
      'Service of the first loom', 'Second loom', 'Punched cards for the spring season',
    ]);
    const order = dora.page.locator('.order', { hasText: 'Punched cards' });
    assert.equal(await order.locator('[aria-current=step]').innerText(), 'Offer sent');

    await ben.open('/board');
    await ben.page.getByRole('button', { name: 'Move Punched cards for the spring season to Won' }).click();

    await order.locator('[aria-current=step]', { hasText: 'Ordered' }).waitFor();
    await dora.page.getByText('Punched cards for the spring season: Ordered').waitFor();
  });

  it('of a customer receives missed changes to its orders without a reload', async () => {
    await dora.open('/orders');
    await dora.disconnects();
    await ben.open('/board');
    await ben.moves('Punched cards for the spring season', 'Proposal');

    await dora.connects();

    await dora.page.getByText('Punched cards for the spring season: Offer sent').waitFor();
  });

  it('of a customer sees an error if the orders cannot be reloaded after the end of the login', async () => {
    await dora.open('/orders');
    await dora.disconnects();
    await ben.open('/board');
    // The server's history is in memory.
    const noticed = await ben.watchesFor('Reconnecting');
    process.kill(await demo.pid('server'), 'SIGKILL');
    await noticed();
    await ben.isSubscribed();
    await dora.page.route('/orders', (route) => route.fulfill({ status: 302, headers: { Location: '/login' } }));

    await dora.connects();

    await dora.isTold('outdated');
    assert.equal(await dora.page.locator('.order').count(), 3);
    await dora.page.unroute('/orders');
  });

  it('of a customer sees a new order and a deleted one', async () => {
    await dora.open('/orders');
    await ben.goto('/deals/new?company=5');
    await ben.enter({ Name: 'Third loom', 'Value in €': '91000' });
    await ben.submit();
    await ben.page.getByText('Third loom was added.').waitFor();
    assert.equal(await dora.isTold('outdated'), 'There is a new order: Third loom.');

    await dora.open('/orders');
    await dora.page.locator('.order', { hasText: 'Third loom' }).waitFor();
    ben.page.once('dialog', (dialog) => dialog.accept());
    await ben.page.getByRole('button', { name: 'Delete this deal' }).click();
    await dora.page.getByText('Third loom was withdrawn.').waitFor();
    assert.equal(await dora.page.locator('.order', { hasText: 'Third loom' }).count(), 0);
  });

  it('of a customer receives no events of the back office and other customers', async () => {
    await dora.open('/orders');
    const [ownOrders, othersOrders] = ['demo/orders/5', 'demo/orders/7'];
    const forbidden = ['oro/data/update', 'demo/board', 'demo/import/1', othersOrders];
    const eventsOfDora = dora.collectEvents([...forbidden, ownOrders]);
    await dora.isSubscribed();
    await ben.open('/board');
    // The events that Dora must not receive were published: another customer and the back office received them.
    const emil = await people.signedIn('emil');
    await emil.open('/orders');
    const eventsOfBen = ben.collectEvents(['oro/data/update', 'demo/board']);
    await ben.isSubscribed();

    await ben.page.getByRole('button', { name: 'Move Renewal of two licences to Won' }).click();
    await emil.page.getByText('Renewal of two licences: Ordered').waitFor();
    assert.deepEqual((await eventsOfBen).received.map(({ topic }) => topic), ['oro/data/update', 'demo/board']);
    await ben.page.getByRole('button', { name: 'Move Second loom to Proposal' }).click();

    const { received, refused } = await eventsOfDora;
    assert.deepEqual(refused, forbidden);
    assert.deepEqual(received.map(({ topic }) => topic), [ownOrders]);
    assert.deepEqual(received[0].payload, { id: 2, name: 'Second loom', value: 86000, stage: 'proposal' });
  });

  it('of sales may not subscribe to imports, unlike an administrator', async () => {
    const anna = await people.signedIn('anna');
    await anna.open('/board');
    await ben.open('/board');
    const topics = ['demo/import/1', 'demo/board'];
    const received = [anna.collectEvents(topics), ben.collectEvents(topics)];
    await Promise.all([anna.isSubscribed(), ben.isSubscribed()]);

    await ben.page.getByRole('button', { name: 'Move Gate: either or both to Won' }).click();

    const [byAnna, byBen] = await Promise.all(received);
    assert.deepEqual(byAnna.refused, []);
    assert.deepEqual(byBen.refused, ['demo/import/1']);
  });
});

/** @param {import('./people.js').Person} person @param {string[]} paths */
async function statusOf(person, paths) {
  return Promise.all(paths.map(async (path) => (await person.page.request.get(path)).status()));
}
