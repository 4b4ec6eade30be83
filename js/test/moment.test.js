import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Timeline, earlierBy, earlierOf, elapsed, momentNow } from '../src/moment.js';

/** Both clocks, set by the test. */
function clocks(t, { monotonic, wall }) {
  const clock = { monotonic, wall };
  t.mock.method(performance, 'now', () => clock.monotonic);
  t.mock.method(Date, 'now', () => clock.wall);
  return (passed, slept = 0) => {
    clock.monotonic += passed;
    clock.wall += passed + slept;
  };
}

describe('elapsed', () => {
  it('is the longer of two durations, whichever clock stopped or was set back', () => {
    const from = { monotonic: 100, wall: 5_000 };
    assert.equal(elapsed(from, { monotonic: 200, wall: 5_900 }), 900);
    assert.equal(elapsed(from, { monotonic: 200, wall: 4_000 }), 100);
    assert.equal(elapsed(from, { monotonic: 50, wall: 4_990 }), -10);
    assert.equal(elapsed(earlierBy(from, 30), from), 30);
  });
});

describe('the earlier of two moments', () => {
  it('is the earlier value on each clock', () => {
    assert.deepEqual(earlierOf({ monotonic: 1, wall: 20 }, { monotonic: 2, wall: 10 }), { monotonic: 1, wall: 10 });
  });
});

describe('Timeline', () => {
  it('converts a value counting from the last moment noted before it', (t) => {
    const pass = clocks(t, { monotonic: 1_000, wall: 50_000 });
    const timeline = new Timeline();
    pass(500);
    assert.deepEqual(timeline.at(1_200), { monotonic: 1_200, wall: 50_200 });
    pass(0, 9_000);
    timeline.note();
    assert.deepEqual(timeline.at(1_600), { monotonic: 1_600, wall: 59_600 });
    assert.deepEqual(timeline.at(1_499), { monotonic: 1_499, wall: 50_499 });
  });

  it('gives an earlier moment, never a later one, when the system has slept since', (t) => {
    const pass = clocks(t, { monotonic: 1_000, wall: 50_000 });
    const timeline = new Timeline();
    pass(100, 7_000);
    const since = performance.now();
    pass(100, 3_000);
    assert.ok(elapsed(timeline.at(since), momentNow()) >= 3_100);
  });

  it('counts from the start of the page for older values, and keeps a few moments', (t) => {
    const pass = clocks(t, { monotonic: 1_000, wall: 50_000 });
    const timeline = new Timeline();
    const early = { monotonic: 10, wall: performance.timeOrigin + 10 };
    assert.deepEqual(timeline.at(10), early);
    for (let count = 0; count < 8; count += 1) {
      pass(1_000, 1_000);
      timeline.note();
    }
    assert.deepEqual(timeline.at(9_000), { monotonic: 9_000, wall: 66_000 });
    assert.deepEqual(timeline.at(1_500), { monotonic: 1_500, wall: performance.timeOrigin + 1_500 });
  });
});
