/** Events published before a page was subscribed or while it was offline: it receives them, or reports missing ones. */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { Cache } from './cache.js';
import { Demo } from './demo.js';
import { Path } from './path.js';
import { People } from './people.js';

/** Events per topic in the server's history by default. */
const HISTORY = 5;
/** Events in the history of `oro/data/update`. */
const HISTORY_OF_CONTENT = 20_000;

/** Delay that the path adds to a request or an answer. */
const HELD_MS = 1_500;
/** Interval between a save that the page must not report and the page's request: any delay may count as age of the page. */
const LONG_BEFORE_MS = 3_000;
/** As in `silence.spec.js`. */
const LONGEST_MS = 40_000;

const CHANGED = 'Ben changed what you see here.';
const UNCERTAIN = 'This page may be out of date.';

/** @typedef {import('./people.js').Person} Person */

describe('a page', () => {
  /** @type {Demo} */
  let demo;
  /** @type {Path} */
  let path;
  /** @type {People} */
  let afar;
  /** @type {People} */
  let people;
  /** @type {Person} */
  let ben;

  before(async () => {
    demo = await Demo.startWith({ OROSYNC_HISTORY__EVENTS: String(HISTORY) });
    path = await Path.open(demo.url);
    [afar, people] = await Promise.all([People.gather(demo.url, { through: path.port }), People.gather(demo.url)]);
    ben = await people.signedIn('ben');
  });
  after(async () => {
    await Promise.all([afar, people].map((each) => each?.close()));
    path?.close();
    await demo?.stop();
  });

  /** Ben saves a contact. Returns after a pause, so that its event has arrived everywhere. @param {number} id */
  async function benSavesLongBefore(id) {
    await ben.save(id, { Notes: `Long before, ${performance.now()}.` });
    await sleep(LONG_BEFORE_MS);
  }

  /** The page is subscribed, reports no earlier save, and reports the next one once. @param {Person} anna @param {number} id */
  async function isCurrent(anna, id) {
    await anna.isSubscribed();
    assert.equal(await anna.flashes('outdated').count(), 0);
    await ben.save(id, { Notes: `From now on, ${performance.now()}.` });
    assert.equal(await anna.isTold('outdated'), CHANGED);
    assert.equal(await anna.flashes('outdated').count(), 1);
  }

  describe('that needs long from its request to its connection', () => {
    /** @type {Person} */
    let anna;

    beforeEach(async () => {
      anna = await afar.signedIn('anna');
      // Otherwise a request of the current page would be delayed.
      await anna.isSubscribed();
    });
    afterEach(() => anna?.leave());

    for (const [what, begin, part] of /** @type {const} */ ([
      ['its HTML', 'GET /contacts/1 ', 'answer'],
      ['the request for its ticket', 'POST /sync/ticket ', 'request'],
      ['the answer with its ticket', 'POST /sync/ticket ', 'answer'],
      ['the handshake of its socket', 'GET /ws', 'request'],
    ])) {
      it(`is outdated by saves in the meantime (${what} is delayed)`, async () => {
        const gate = path.hold(begin, part);
        const opened = anna.page.goto('/contacts/1');
        await gate.reached;

        await ben.save(1, { Notes: `Before ${what}.` });
        await sleep(HELD_MS);
        gate.open();

        await opened;
        assert.equal(await anna.isTold('outdated'), CHANGED);
        await anna.isSubscribed();
        assert.equal(await anna.flashes('outdated').count(), 1);
      });

      it(`is not outdated by saves before its request (${what} is delayed)`, async () => {
        await benSavesLongBefore(1);

        const gate = path.hold(begin, part);
        const opened = anna.page.goto('/contacts/1');
        await gate.reached;
        await sleep(HELD_MS);
        gate.open();

        await opened;
        await isCurrent(anna, 1);
      });
    }

    it('is outdated by saves while the machine slept before the socket was open', async () => {
      await anna.page.addInitScript(sleepily);
      const gate = path.hold('GET /ws', 'request');
      await anna.page.goto('/contacts/1');
      await gate.reached;
      const begin = performance.now();

      await ben.save(1, { Notes: 'While the machine slept.' });
      await sleep(LONG_BEFORE_MS);
      await anna.page.evaluate((milliseconds) => {
        /** @type {Window & { slept?: (milliseconds: number) => void }} */ (window).slept?.(milliseconds);
      }, performance.now() - begin);
      gate.open();

      assert.equal(await anna.isTold('outdated'), CHANGED);
    });
  });

  for (const where of /** @type {const} */ (['proxy', 'browser'])) {
    describe(`from the cache of the ${where}`, () => {
      /** @type {Cache} */
      let cache;
      /** @type {People} */
      let behind;
      /** @type {Person} */
      let anna;

      before(async () => {
        cache = await Cache.start(demo.url, where);
        behind = await People.gather(cache.url);
        anna = await behind.signedIn('anna');
      });
      after(async () => {
        await behind?.close();
        cache?.close();
      });

      /** Visits a contact, leaves it, and returns by a link. @param {string} name */
      async function returnsTo(name) {
        await anna.page.getByRole('link', { name, exact: true }).first().click();
        await anna.page.getByRole('heading', { name, level: 1 }).waitFor();
        const bytes = await anna.page.evaluate(() => {
          const [navigation] = /** @type {PerformanceNavigationTiming[]} */ (performance.getEntriesByType('navigation'));
          return navigation.transferSize;
        });
        assert.equal(bytes === 0, where === 'browser', `${bytes} bytes came over the network`);
      }

      it('is outdated by saves since it was rendered', async () => {
        await anna.open('/contacts/2');
        await anna.open('/contacts');
        await ben.save(2, { Notes: `Not in the cache of the ${where}.` });

        await returnsTo('Alan Turing');

        assert.equal(await anna.isTold('outdated'), CHANGED);
        await anna.isSubscribed();
        assert.equal(await anna.flashes('outdated').count(), 1);
      });

      it('is not outdated by saves before it was rendered', async () => {
        await benSavesLongBefore(3);
        await anna.open('/contacts/3');
        await anna.open('/contacts');

        await returnsTo('Blaise Pascal');

        await isCurrent(anna, 3);
      });
    });
  }

  describe('whose packets are dropped both ways', () => {
    for (const [count, what] of /** @type {const} */ ([
      [0, 'receives nothing if it missed no event'],
      [3, 'receives three missed events once and in order'],
      [7, `receives the last ${HISTORY} of seven missed events, then incomplete`],
    ])) {
      it(what, async (t) => {
        const anna = await afar.signedIn('anna');
        t.after(() => anna.leave());
        await anna.open('/companies');
        await recordBoardEvents(anna);
        await demo.publish('demo/board', ['before']);
        await hasReceived(anna, ['before']);
        const { session: dead } = await anna.session();
        const events = Array.from({ length: count }, (_, index) => `missed ${index + 1}`);

        path.goSilent();
        await demo.publish('demo/board', events);
        await anna.wakesUp('online');
        await anna.hasAnotherSessionThan(dead, { within: LONGEST_MS });
        await anna.isSubscribed();
        await demo.publish('demo/board', ['after']);

        const more = count > HISTORY ? ['incomplete'] : [];
        await hasReceived(anna, ['before', ...events.slice(-HISTORY), ...more, 'after']);
      });
    }
  });

  it('that is frozen for longer than the history reports once that it may be outdated', async (t) => {
    const anna = await afar.signedIn('anna');
    t.after(() => anna.leave());
    await anna.open('/contacts/1');
    const { session: dead } = await anna.session();
    await anna.page.evaluate(() => {
      /** @type {unknown[]} */
      const told = [];
      /** @type {Window & { told?: unknown[] }} */ (window).told = told;
      document.addEventListener('orosync-outdated', (event) => told.push(/** @type {CustomEvent} */ (event).detail));
    });
    const lifecycle = await anna.page.context().newCDPSession(anna.page);

    await lifecycle.send('Page.setWebLifecycleState', { state: 'frozen' });
    path.goSilent();
    await ben.save(1, { Notes: 'While she was offline.' });
    const others = [{ username: 'ben', tagname: 'Demo_Entity_Contact_11' }];
    await demo.publish('oro/data/update', Array.from({ length: HISTORY_OF_CONTENT }, () => others));
    await lifecycle.send('Page.setWebLifecycleState', { state: 'active' });
    await anna.wakesUp('visibilitychange');

    await anna.hasAnotherSessionThan(dead, { within: LONGEST_MS });
    assert.equal(await anna.isTold('outdated'), UNCERTAIN);
    await anna.isSubscribed();
    assert.equal(await anna.flashes('outdated').count(), 1);
    assert.deepEqual(
      await anna.page.evaluate(() => /** @type {Window & { told?: unknown[] }} */ (window).told),
      [{ tags: [], userNames: [], isCertain: false }],
    );
  });
});

/** Runs before all other scripts: stops the monotonic clock while the machine sleeps, as on some systems. */
function sleepily() {
  const now = performance.now.bind(performance);
  let slept = 0;
  performance.now = () => now() - slept;
  /** @type {Window & { slept?: (milliseconds: number) => void }} */ (window).slept = (milliseconds) => {
    slept += milliseconds;
  };
}

/** Records the payloads and `incomplete` events in order. @param {Person} person */
async function recordBoardEvents({ page }) {
  await page.evaluate(async () => {
    const { client } = await import('/js/page.js');
    /** @type {unknown[]} */
    const received = [];
    /** @type {Window & { received?: unknown[] }} */ (window).received = received;
    client.subscribe('demo/board', (payload) => received.push(payload), { recover: true });
    client.on('incomplete', ({ topic }) => topic === 'demo/board' && received.push('incomplete'));
    // Calls are answered in order.
    await client.call('orosync/session');
  });
}

/** @param {Person} person @param {unknown[]} expected */
async function hasReceived({ page }, expected) {
  await page.waitForFunction(
    (last) => /** @type {Window & { received?: unknown[] }} */ (window).received?.at(-1) === last,
    expected.at(-1),
  );
  assert.deepEqual(await page.evaluate(() => /** @type {Window & { received?: unknown[] }} */ (window).received), expected);
}
