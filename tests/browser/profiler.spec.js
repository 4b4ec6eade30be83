/** The environment `dev`: the web profiler shows the messages of a request. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { Demo } from './demo.js';
import { People } from './people.js';

describe('in development', () => {
  /** @type {Demo} */
  let demo;
  /** @type {People} */
  let people;

  before(async () => {
    demo = await Demo.start('--dev');
    people = await People.gather(demo.url);
  });
  after(async () => {
    await people?.close();
    await demo?.stop();
  });

  it('the profiler shows the messages of a save', async () => {
    const ben = await people.signedIn('ben');
    const saved = ben.page.waitForResponse((response) => response.request().method() === 'POST' && response.url().endsWith('/contacts/1/edit'));
    await ben.save(1, { Notes: 'Profiled.' });
    const profile = (await saved).headers()['x-debug-token-link'];

    await ben.goto(`${profile}?panel=orosync`);

    const record = ben.page.getByRole('row', { name: /oro\/data\/update/ });
    assert.match(await record.innerText(), /\{"username":"ben","tagname":"Demo_Entity_Contact_1"\}.*accepted/s);
  });

  it('the toolbar is shown and the page gets live updates', async () => {
    const anna = await people.signedIn('anna');
    /** @type {string[]} */
    const errors = [];
    anna.page.on('console', (message) => {
      // Symfony writes a profile after the response was sent; its toolbar polls for it.
      const asksAgain = message.location().url.includes('/_wdt/') && message.text().includes('404');
      if (message.type() === 'error' && !asksAgain) {
        errors.push(message.text());
      }
    });

    await anna.open('/board');
    await anna.page.locator('.sf-toolbarreset').waitFor();

    assert.deepEqual(errors, []);
  });
});
