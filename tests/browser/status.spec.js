/** The status page: one connection from the view of the page, the server and PHP. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { Demo } from './demo.js';
import { People } from './people.js';

describe('the status page', () => {
  /** @type {Demo} */
  let demo;
  /** @type {People} */
  let people;

  before(async () => {
    demo = await Demo.start();
    people = await People.gather(demo.url);
  });
  after(async () => {
    await people?.close();
    await demo?.stop();
  });

  it('shows the session from the view of the page and of the server', async () => {
    const anna = await people.signedIn('anna');
    await anna.open('/status');
    await anna.page.locator('#server dd').first().waitFor();

    const page = await facts(anna, 'page');
    const server = await facts(anna, 'server');
    assert.equal(page.State, 'connected');
    assert.match(page['Session id'], /\S/);
    assert.equal(Object.values(server).includes(page['Session id']), true, `no session id in ${JSON.stringify(server)}`);
    assert.equal(Object.values(server).includes('anna'), true, `no user name in ${JSON.stringify(server)}`);
  });

  it('shows the server\'s counters and the policies of the demo\'s topics', async () => {
    const anna = await people.signedIn('anna');
    await anna.open('/status');
    await anna.page.getByRole('button', { name: 'Ask again' }).click();
    await anna.page.locator('#counters dd').first().waitFor();
    await anna.page.locator('#topics tr').first().waitFor();

    const counters = await facts(anna, 'counters');
    assert.ok(Number(counters['Open pages']) >= 1, JSON.stringify(counters));
    const rules = await anna.page.locator('#topics').evaluate((rows) => [...rows.children].map((row) => [...row.children].map((cell) => cell.textContent)));
    assert.deepEqual(rules.filter(([topic]) => topic.startsWith('demo/')), [
      ['demo/board', 'user', 'publisher'],
      ['demo/orders/{company:int}', 'granted', 'publisher'],
      ['demo/import/{id:int}', 'granted', 'publisher'],
    ]);
  });

  it('shows the counters of the PHP process, which add up', async () => {
    const anna = await people.signedIn('anna');
    await anna.save(1, { Notes: 'Counted.' });
    await anna.goto('/status');

    // One of several processes has published it; they take turns to answer.
    /** @type {Record<string, string>} */
    let php = {};
    do {
      const answer = anna.page.waitForResponse('**/status/php');
      await anna.page.getByRole('button', { name: 'Ask again' }).click();
      await (await answer).finished();
      php = await facts(anna, 'php');
    } while (!(Number(php.acknowledged) > 0));
    const [accepted, acknowledged, unacknowledged, queued] = ['accepted', 'acknowledged', 'unacknowledged', 'queued']
      .map((name) => Number(php[name]));
    assert.equal(accepted, acknowledged + unacknowledged + queued);
    assert.equal(php.state, 'connected');
  });
});

/** @param {import('./people.js').Person} person @param {string} list @returns {Promise<Record<string, string>>} */
async function facts(person, list) {
  const rows = await person.page.locator(`#${list} > div`).evaluateAll((divs) => divs.map((div) => [...div.children].map((child) => child.textContent)));
  return Object.fromEntries(rows);
}
