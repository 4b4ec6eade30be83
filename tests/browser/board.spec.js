/** The pipeline board: a move by one user appears on the boards of all others. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';

import { Demo } from './demo.js';
import { Gate } from './gate.js';
import { People } from './people.js';

describe('the board', () => {
  /** @type {Demo} */
  let demo;
  /** @type {People} */
  let people;
  /** @type {import('./people.js').Person} */
  let anna;
  /** @type {import('./people.js').Person} */
  let ben;

  before(async () => {
    demo = await Demo.start();
    people = await People.gather(demo.url);
    [anna, ben] = await Promise.all([people.signedIn('anna'), people.signedIn('ben')]);
  });
  beforeEach(async () => {
    await anna.open('/board');
    await ben.open('/board');
  });
  after(async () => {
    await people?.close();
    await demo?.stop();
  });

  /** Restarts the server, whose history is in memory. */
  async function serverForgets() {
    const killed = await demo.pid('server');
    const noticed = await ben.watchesFor('Reconnecting');
    process.kill(killed, 'SIGKILL');
    await noticed();
    await ben.isSubscribed();
  }

  it('shows at once a deal that another user drags to another stage', async () => {
    await card(ben, '88 channels').dragTo(column(ben, 'proposal'));

    await column(anna, 'proposal').getByText('88 channels').waitFor();
    assert.equal(await column(anna, 'qualified').getByText('88 channels').count(), 0);
    await anna.page.getByText('Ben moved 88 channels to Proposal.').waitFor();
    assert.deepEqual(
      await anna.page.locator('.column > header').allInnerTexts(),
      await ben.page.locator('.column > header').allInnerTexts(),
    );
    // The card moves in place; the page is not reloaded.
    assert.equal(await anna.flashes('outdated').count(), 0);
  });

  it('moves a deal by the keyboard and keeps the focus on it', async () => {
    await ben.page.getByRole('button', { name: 'Move Second loom to Proposal' }).focus();

    await ben.page.keyboard.press('Enter');
    await column(anna, 'proposal').getByText('Second loom').waitFor();
    await ben.page.getByText('Second loom is in Proposal now.').waitFor();
    assert.equal(await focused(ben), 'Move Second loom to Won');

    await ben.page.keyboard.press('Enter');
    await column(anna, 'won').getByText('Second loom').waitFor();
    await ben.page.getByText('Second loom is in Won now.').waitFor();
    await ben.page.keyboard.press('Enter');
    await column(anna, 'lost').getByText('Second loom').waitFor();
    await ben.page.getByText('Second loom is in Lost now.').waitFor();
    assert.equal(await focused(ben), 'Move Second loom to Won', 'at the end of the board the way back has the keyboard');
  });

  it('refuses the move of an older version, and shows where the deal is', async () => {
    await anna.disconnects();
    await ben.page.getByRole('button', { name: 'Move Compiler licences to Won' }).click();
    await ben.page.getByText('Compiler licences is in Won now.').waitFor();

    await anna.page.getByRole('button', { name: 'Move Compiler licences to Qualified' }).click();

    await anna.page.getByText('The deal was not moved: Ben changed Compiler licences meanwhile.').waitFor();
    await column(anna, 'won').getByText('Compiler licences').waitFor();
    await ben.page.reload();
    await column(ben, 'won').getByText('Compiler licences').waitFor();
  });

  it('works without JavaScript', async () => {
    const carla = await people.signedIn('carla', { javaScriptEnabled: false });
    await carla.goto('/board');

    await carla.page.getByRole('button', { name: 'Move Moth nets for the machine room to Qualified' }).click();

    await column(carla, 'qualified').getByText('Moth nets for the machine room').waitFor();
    await column(anna, 'qualified').getByText('Moth nets for the machine room').waitFor();
  });

  it('shows changes that another user saves in the form of a deal', async () => {
    await ben.saveRecord('/deals/4', { Name: 'Two thousand toothed wheels', 'Value in €': '123000' });

    await column(anna, 'lead').getByText('Two thousand toothed wheels').waitFor();
    assert.match(await card(anna, 'Two thousand toothed wheels').innerText(), /€ 123,000/);
    assert.match(await column(anna, 'lead').locator('.deal').first().innerText(), /Two thousand/, 'the dearest comes first');
  });

  it('receives missed moves after an outage', async () => {
    await anna.disconnects();
    await ben.moves('Renewal of two licences', 'Won');

    await anna.connects();

    await anna.page.getByText('Ben moved Renewal of two licences to Won.').waitFor();
    await column(anna, 'won').getByText('Renewal of two licences').waitFor();
  });

  it('is reloaded if the history no longer has the moves', async () => {
    await anna.disconnects();
    await ben.moves('Renewal of two licences', 'Lost');
    await serverForgets();

    await anna.connects();

    await column(anna, 'lost').getByText('Renewal of two licences').waitFor();
    assert.equal(await anna.page.getByText('Ben moved Renewal of two licences').count(), 0);
  });

  it('keeps events that arrive during a reload', async () => {
    await anna.disconnects();
    await serverForgets();
    const answer = new Gate();
    await anna.page.route('/board', async (route) => {
      const response = await route.fetch();
      await answer.pass();
      await route.fulfill({ response });
    });

    await anna.connects();
    await answer.reached;
    await ben.moves('Sampling at twice the rate', 'Qualified');
    await column(anna, 'qualified').getByText('Sampling at twice the rate').waitFor();
    const loaded = anna.page.waitForEvent('requestfinished', (request) => request.url().endsWith('/board'));
    answer.open();
    await loaded;
    await ben.moves('Film reels for the fourth model', 'Proposal');
    await column(anna, 'proposal').getByText('Film reels for the fourth model').waitFor();

    assert.equal(await column(anna, 'qualified').getByText('Sampling at twice the rate').count(), 1);
    assert.equal(await card(anna, 'Sampling at twice the rate').count(), 1);
    await anna.page.unroute('/board');
  });

  it('receives moves that were made between its request and its connection', async () => {
    const ticket = new Gate();
    await anna.page.route('/sync/ticket', async (route) => {
      await ticket.pass();
      await route.continue();
    });
    await anna.goto('/board');
    await ticket.reached;
    await ben.moves('Store for 4096 words', 'Qualified');
    assert.equal(await column(anna, 'qualified').getByText('Store for 4096 words').count(), 0);

    ticket.open();

    await column(anna, 'qualified').getByText('Store for 4096 words').waitFor();
    await anna.page.unroute('/sync/ticket');
  });

  it('is outdated when a deal is added', async () => {
    await ben.goto('/deals/new?company=8');
    await ben.enter({ Name: 'Store for 8192 words', 'Value in €': '140000', Contact: 'John von Neumann' });
    await ben.submit();
    await ben.page.getByText('Store for 8192 words was added.').waitFor();

    assert.equal(await anna.isTold('outdated'), 'Ben changed what you see here.');
  });
});

/** @param {import('./people.js').Person} person @param {string} stage */
const column = (person, stage) => person.page.locator(`.column[data-stage=${stage}]`);
/** @param {import('./people.js').Person} person @param {string} name */
const card = (person, name) => person.page.locator('.deal', { hasText: name });
/** @param {import('./people.js').Person} person */
const focused = (person) => person.page.evaluate(() => document.activeElement?.getAttribute('aria-label'));
