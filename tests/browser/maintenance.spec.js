/** Maintenance switched on in the console and in a page, and pages without a login. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';

import { Demo } from './demo.js';
import { People } from './people.js';

const MAINTENANCE = 'maintenance';
const GONE = /** @type {const} */ ({ state: 'detached' });

describe('maintenance', () => {
  /** @type {Demo} */
  let demo;
  /** @type {People} */
  let people;
  /** @type {import('./people.js').Person} */
  let anna;
  /** @type {import('./people.js').Person} */
  let ben;
  /** @type {import('./people.js').Person} */
  let visitor;

  before(async () => {
    demo = await Demo.start();
    people = await People.gather(demo.url);
    [anna, ben, visitor] = await Promise.all([people.signedIn('anna'), people.signedIn('ben'), people.visitor()]);
  });
  afterEach(async () => {
    await demo.console('orosync:maintenance', 'off');
  });
  after(async () => {
    await people?.close();
    await demo?.stop();
  });

  it('from the console reaches every page when it begins and when it ends', async () => {
    await anna.open('/status');
    await ben.open('/contacts/1/edit');
    await visitor.open('/');
    const everybody = [anna, ben, visitor];

    await demo.console('orosync:maintenance', 'on');
    for (const person of everybody) {
      assert.match(await person.isTold(MAINTENANCE), /has gone into maintenance/);
    }

    await demo.console('orosync:maintenance', 'off');
    for (const person of everybody) {
      await person.flashes(MAINTENANCE).waitFor(GONE);
    }
  });

  it('from the page reaches everybody except the user who switched it on', async (t) => {
    const otherTab = await anna.inAnotherTab();
    t.after(() => otherTab.close());
    await otherTab.open('/contacts');
    await anna.open('/status');
    await ben.open('/contacts');

    await anna.page.getByRole('button', { name: 'Switch maintenance on' }).click();
    await anna.isSubscribed();
    assert.match(await ben.isTold(MAINTENANCE), /has gone into maintenance/);

    // Anna's tab has processed that message when it receives the next one.
    await ben.save(1, { Notes: 'Saved all the same.' });
    await otherTab.isTold('outdated');
    assert.equal(await otherTab.flashes(MAINTENANCE).count(), 0);

    await anna.page.getByRole('button', { name: 'Switch maintenance off' }).click();
    await anna.page.getByText('Maintenance is off').waitFor();
  });

  it('reaches a page without a login, which gets no data changes', async () => {
    // The same page, with the same tags, with and without a login.
    await anna.open('/');
    await visitor.open('/');

    await ben.goto('/contacts/new');
    await ben.enter({ Name: 'Katherine Johnson' });
    await ben.submit();
    await ben.page.getByText('Katherine Johnson was added.').waitFor();
    assert.equal(await anna.isTold('outdated'), 'Ben changed what you see here.');

    await demo.console('orosync:maintenance', 'on');
    await visitor.isTold(MAINTENANCE);
    assert.equal(await visitor.flashes('outdated').count(), 0);
  });

  it('is shown by a page that is opened during it, until it ends', async () => {
    await demo.console('orosync:maintenance', 'on');
    await ben.open('/contacts');
    const notice = ben.page.getByText('The site is in maintenance.');
    await notice.waitFor();

    await demo.console('orosync:maintenance', 'off');
    await notice.waitFor({ state: 'hidden' });
  });
});
