/** Who sees what: the back office, its administrators, customers, and nobody in particular. */
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

  it('of sales has the records, and not the pages of an administrator', async () => {
    assert.deepEqual(await statusOf(ben, OFFICE_PAGES), Array(OFFICE_PAGES.length).fill(200));
    assert.deepEqual(await statusOf(ben, ADMIN_PAGES), Array(ADMIN_PAGES.length).fill(403));
    assert.equal((await ben.page.request.post('/import')).status(), 403);
    assert.equal((await ben.page.request.post('/maintenance')).status(), 403);
    await ben.goto('/board');
    assert.equal(await ben.page.getByRole('link', { name: 'Import' }).count(), 0);
  });

  it('of a customer has its orders, and no page of the back office', async () => {
    assert.deepEqual(await statusOf(dora, ['/orders']), [200]);
    assert.deepEqual(await statusOf(dora, OFFICE_PAGES), Array(OFFICE_PAGES.length).fill(403));
    assert.deepEqual(await statusOf(dora, ADMIN_PAGES), Array(ADMIN_PAGES.length).fill(403));
    assert.equal((await dora.page.request.post('/board/1')).status(), 403);
  });

  it('of nobody leads to the login', async () => {
    const visitor = await people.visitor();
    await visitor.goto('/board');
    await visitor.page.getByRole('heading', { name: 'Sign in' }).waitFor();
  });

  it('is not asked to sign in again where there is no page', async () => {
    await ben.goto('/nowhere');
    await ben.page.getByRole('heading', { name: 'There is no such page' }).waitFor();
    assert.equal(await ben.page.getByRole('link', { name: 'Sign in' }).count(), 0);
  });

  it('of a customer sees the orders of its own company move, and no others', async () => {
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

  it('of a customer sees, without a new page, what its orders did while it was not connected', async () => {
    await dora.open('/orders');
    await dora.disconnects();
    await ben.open('/board');
    await ben.moves('Punched cards for the spring season', 'Proposal');

    await dora.connects();

    await dora.page.getByText('Punched cards for the spring season: Offer sent').waitFor();
  });

  it('of a customer is told where its orders cannot be loaded anew: nobody is signed in any more', async () => {
    await dora.open('/orders');
    await dora.disconnects();
    await ben.open('/board');
    // What the server remembers ends with it.
    const noticed = await ben.watchesFor('Reconnecting');
    process.kill(await demo.pid('server'), 'SIGKILL');
    await noticed();
    await ben.listens();
    await dora.page.route('/orders', (route) => route.fulfill({ status: 302, headers: { Location: '/login' } }));

    await dora.connects();

    await dora.isTold('outdated');
    assert.equal(await dora.page.locator('.order').count(), 3);
    await dora.page.unroute('/orders');
  });

  it('of a customer sees an order come and go', async () => {
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

  it('of a customer hears nothing of what the back office and other customers hear', async () => {
    await dora.open('/orders');
    const [ownOrders, othersOrders] = ['demo/orders/5', 'demo/orders/7'];
    const forbidden = ['oro/data/update', 'demo/board', 'demo/import/1', othersOrders];
    const heardByDora = dora.hears([...forbidden, ownOrders]);
    await dora.listens();
    await ben.open('/board');
    // What Dora is kept from was said: another customer and the back office heard it.
    const emil = await people.signedIn('emil');
    await emil.open('/orders');
    const heardByBen = ben.hears(['oro/data/update', 'demo/board']);
    await ben.listens();

    await ben.page.getByRole('button', { name: 'Move Renewal of two licences to Won' }).click();
    await emil.page.getByText('Renewal of two licences: Ordered').waitFor();
    assert.deepEqual((await heardByBen).heard.map(({ topic }) => topic), ['oro/data/update', 'demo/board']);
    await ben.page.getByRole('button', { name: 'Move Second loom to Proposal' }).click();

    const { heard, refused } = await heardByDora;
    assert.deepEqual(refused, forbidden);
    assert.deepEqual(heard.map(({ topic }) => topic), [ownOrders]);
    assert.deepEqual(heard[0].payload, { id: 2, name: 'Second loom', value: 86000, stage: 'proposal' });
  });

  it('of sales is refused the news of imports, which an administrator has', async () => {
    const anna = await people.signedIn('anna');
    await anna.open('/board');
    await ben.open('/board');
    const topics = ['demo/import/1', 'demo/board'];
    const heard = [anna.hears(topics), ben.hears(topics)];
    await Promise.all([anna.listens(), ben.listens()]);

    await ben.page.getByRole('button', { name: 'Move Gate: either or both to Won' }).click();

    const [byAnna, byBen] = await Promise.all(heard);
    assert.deepEqual(byAnna.refused, []);
    assert.deepEqual(byBen.refused, ['demo/import/1']);
  });
});

/** @param {import('./people.js').Person} person @param {string[]} paths */
async function statusOf(person, paths) {
  return Promise.all(paths.map(async (path) => (await person.page.request.get(path)).status()));
}
