/** Dead connections: packets are dropped without notice, as after a laptop's sleep. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { Demo } from './demo.js';
import { Path } from './path.js';
import { People } from './people.js';

/** 25 s until the ping, 5 s for its answer, then the ticket requests on dead HTTP connections; the rest for a slow machine. */
const LONGEST_MS = 40_000;

describe('a page with a dead connection', () => {
  /** @type {Demo} */
  let demo;
  /** @type {Path} */
  let path;
  /** @type {People} */
  let afar;
  /** @type {People} */
  let people;
  /** @type {import('./people.js').Person} */
  let ben;

  before(async () => {
    demo = await Demo.start();
    path = await Path.open(demo.url);
    [afar, people] = await Promise.all([People.gather(demo.url, { through: path.port }), People.gather(demo.url)]);
    ben = await people.signedIn('ben');
  });
  after(async () => {
    await Promise.all([afar, people].map((each) => each?.close()));
    path?.close();
    await demo?.stop();
  });

  for (const [what, event] of /** @type {const} */ ([
    ['by itself', null],
    ['when it is looked at', 'visibilitychange'],
    ['when it is online again', 'online'],
  ])) {
    it(`reconnects ${what}, and receives the next save`, async (t) => {
      const anna = await afar.signedIn('anna');
      await anna.open('/contacts/1');
      const { session: dead } = await anna.session();

      path.goSilent();
      if (event !== null) {
        await anna.wakesUp(event);
      }
      const begin = performance.now();
      await anna.hasAnotherSessionThan(dead, { within: LONGEST_MS });
      t.diagnostic(`reconnected ${what} in ${((performance.now() - begin) / 1000).toFixed(1)} s`);
      await anna.isSubscribed();

      await ben.save(1, { Notes: `Reconnected ${what}.` });
      assert.equal(await anna.isTold('outdated'), 'Ben changed what you see here.');
    });
  }
});
