import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { Backoff, LATER_MS, MAX_DELAY_MS, MIN_DELAY_MS, STABLE_MS, retryTiming, delay, needsNewTicket } from '../src/backoff.js';

describe('delay', () => {
  it('doubles its ceiling up to 30 seconds', () => {
    const ceilings = [1, 2, 3, 4, 5, 6, 7, 1000].map((failures) => delay(failures, 1));
    assert.deepEqual(ceilings, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
  });

  it('spreads attempts between half a second and the ceiling', () => {
    for (const failures of [1, 5, 2_000]) {
      assert.equal(delay(failures, 0), MIN_DELAY_MS);
      assert.equal(delay(failures, 0.5), (MIN_DELAY_MS + delay(failures, 1)) / 2);
    }
  });
});

describe('Backoff', () => {
  it('counts a connection that did not last as one more failure', () => {
    const backoff = new Backoff();
    const delays = [0, 10_000, 20_000].map((now) => {
      backoff.opened(now);
      return backoff.ended('soon', now + STABLE_MS - 1, 1);
    });
    assert.deepEqual(delays, [1_000, 2_000, 4_000]);
  });

  it('resets after a connection that lasted', () => {
    const backoff = new Backoff();
    [1, 2, 3, 4].forEach((now) => backoff.ended('soon', now, 1));
    backoff.opened(10);
    assert.equal(backoff.ended('soon', 10 + STABLE_MS, 1), 1_000);
  });

  it('does not reset twice for the same lasting connection', () => {
    const backoff = new Backoff();
    backoff.opened(0);
    backoff.ended('soon', STABLE_MS, 1);
    assert.equal(backoff.ended('soon', 2 * STABLE_MS, 1), 2_000);
  });

  it('waits 30 to 60 seconds after "try again later", regardless of earlier failures', () => {
    assert.equal(new Backoff().ended('later', 0, 0), LATER_MS);
    assert.equal(new Backoff().ended('later', 0, 1), 2 * LATER_MS);
    assert.ok(LATER_MS >= MAX_DELAY_MS);
  });

  it('delays a second renewal until a connection has lasted', () => {
    const backoff = new Backoff();
    const delays = [0, 10_000, 20_000].map((now) => {
      backoff.opened(now);
      return backoff.renewed(now + STABLE_MS - 1, 1);
    });
    assert.deepEqual(delays, [0, 1_000, 2_000]);
    backoff.opened(30_000);
    assert.equal(backoff.renewed(30_000 + STABLE_MS, 1), 0);
  });

  it('forgets failures when it is reset', () => {
    const backoff = new Backoff();
    [1, 2, 3, 4].forEach((now) => backoff.ended('soon', now, 1));
    backoff.reset();
    assert.equal(backoff.ended('soon', 5, 1), 1_000);
  });
});

describe('retryTiming', () => {
  const source = readFileSync(new URL('../../protocol/src/close.rs', import.meta.url), 'utf8');
  const codes = new Map([...source.matchAll(/Self::(\w+) => (\d{4}),/g)].map(([, name, code]) => [name, Number(code)]));
  const arms = source.slice(source.indexOf('fn should_reconnect')).matchAll(/(Self::[\w:|\s]+?)\s*=>\s*(true|false),/g);
  const verdicts = [...arms].flatMap(([, names, reconnects]) =>
    [...names.matchAll(/Self::(\w+)/g)].map(([, name]) => ({ name, timing: reconnects === 'true' ? 'soon' : 'never' })),
  );

  it('needs a new ticket from PHP after close code 4010 only', () => {
    assert.deepEqual([...codes].filter(([, code]) => needsNewTicket(code)).map(([name]) => name), ['NewTicket']);
  });

  it("covers the server's whole table of close reasons", () => {
    assert.ok(codes.size > 0);
    assert.deepEqual(verdicts.map(({ name }) => name).sort(), [...codes.keys()].sort());
  });

  for (const { name, timing } of verdicts) {
    it(`follows the server's table after ${codes.get(name)} (${name}): ${timing}`, () => {
      assert.equal(retryTiming(codes.get(name)), timing);
    });
  }

  it('retries after a missing Close frame and after close codes of proxies', () => {
    assert.deepEqual([1005, 1006, 1011, 1012, 1014, 1015].map(retryTiming), Array(6).fill('soon'));
  });

  it('follows the requests of proxies: later after 1013, and never after 1008', () => {
    assert.deepEqual([1013, 1008].map(retryTiming), ['later', 'never']);
  });

  it('does not retry after a normal close by the server', () => {
    assert.equal(retryTiming(1000), 'never');
  });
});
