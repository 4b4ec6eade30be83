/** An import of 1,000 rows in the background. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { Demo } from './demo.js';
import { People } from './people.js';

describe('an import', () => {
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
  after(async () => {
    await people?.close();
    await demo?.stop();
  });

  it('moves its progress bar to 100 %, and makes an open list outdated once', async () => {
    await ben.open('/contacts');
    const announced = announcementsUntil(ben, 'Demo_Entity_Contact_1');
    await ben.isSubscribed();

    await anna.open('/import');
    await anna.page.getByRole('button', { name: 'Import 1,000 rows' }).click();
    const steps = await stepsOfTheBar(anna);

    assert.equal(steps.at(-1), 1000);
    assert.ok(steps.length > 2, `the bar moves while it is looked at: ${steps}`);
    assert.deepEqual(steps, [...steps].sort((one, other) => one - other));
    await anna.page.getByText('All rows were imported.').waitFor();
    assert.equal(await anna.page.locator('#percent').innerText(), '100 %');

    assert.equal(await ben.isTold('outdated'), 'Somebody changed what you see here.');
    // Events are ordered: no event of the import follows this one.
    await anna.save(1, { Notes: 'After the import.' });
    assert.deepEqual(await announced, [
      ['Demo_Entity_Company_type_collection', 'Demo_Entity_Contact_type_collection'],
      ['Demo_Entity_Contact_1'],
    ]);

    await ben.page.reload();
    await ben.page.getByText('1,012 in all').waitFor();
    await ben.page.getByRole('link', { name: 'Next' }).click();
    await ben.page.getByText('Page 2 of 41').waitFor();
    await ben.page.getByRole('searchbox').fill('walnut valves');
    await ben.page.keyboard.press('Enter');
    await ben.page.getByText('5 found').waitFor();
  });

  it('shows its end in a page that is opened later', async () => {
    await anna.open('/import/1');
    assert.equal(await anna.page.locator('#percent').innerText(), '100 %');
    await anna.page.getByText('All rows were imported.').waitFor();
    await anna.open('/import');
    await anna.page.getByRole('row', { name: /Import 1 Done 1,000 Anna/ }).waitFor();
  });
});

/** Collects the values of the progress bar until it is full. @param {import('./people.js').Person} person @returns {Promise<number[]>} */
async function stepsOfTheBar(person) {
  await person.page.locator('#bar').waitFor();
  return person.page.evaluate(() => new Promise((resolve) => {
    const bar = /** @type {HTMLProgressElement} */ (document.getElementById('bar'));
    const steps = [bar.value];
    const observer = new MutationObserver(() => {
      if (bar.value !== steps.at(-1)) {
        steps.push(bar.value);
      }
      if (bar.value === bar.max) {
        observer.disconnect();
        resolve(steps);
      }
    });
    observer.observe(bar, { attributes: true, attributeFilter: ['value'] });
  }));
}

/**
 * The tags of each message on `oro/data/update`, up to the message with this tag.
 *
 * @param {import('./people.js').Person} person @param {string} last @returns {Promise<string[][]>}
 */
function announcementsUntil(person, last) {
  return person.page.evaluate(async (end) => {
    const { client } = await import('/js/page.js');
    return new Promise((resolve) => {
      /** @type {string[][]} */
      const messages = [];
      client.subscribe('oro/data/update', (payload) => {
        messages.push(/** @type {{ tagname: string }[]} */ (payload).map(({ tagname }) => tagname).sort());
        if (messages.at(-1)?.includes(end)) {
          resolve(messages);
        }
      });
    });
  }, last);
}
