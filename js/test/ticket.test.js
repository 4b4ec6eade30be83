import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { withParallelRetries } from '../src/ticket.js';
import { Clock } from './support/clock.js';

/** A ticket source whose requests the test settles. */
function setUp(t) {
  const clock = new Clock(t);
  const requests = [];
  const give = withParallelRetries((signal) => new Promise((resolve, reject) => {
    requests.push({ at: clock.now, signal, resolve, reject });
  }));
  const pass = async (milliseconds) => {
    for (let passed = 0; passed < milliseconds; passed += 50) {
      clock.pass(50);
      await new Promise(setImmediate);
    }
  };
  return { clock, requests, give, pass };
}

describe('a ticket after a dead connection', () => {
  it('is requested once if the answer comes soon', async (t) => {
    const { clock, requests, give, pass } = setUp(t);
    const ticket = give(new AbortController().signal);
    await pass(350);
    requests[0].resolve('good');
    assert.equal(await ticket, 'good');
    assert.equal(requests.length, 1);
    assert.equal(clock.timers, 0);
  });

  it('is requested on a new connection within 1 s, past the six that a browser keeps', async (t) => {
    const { requests, give, pass } = setUp(t);
    const ticket = give(new AbortController().signal);
    await pass(60_000);
    assert.equal(requests.length, 7);
    assert.deepEqual(requests.map(({ signal }) => signal.aborted), [true, true, true, true, true, true, false]);
    assert.ok(requests.at(-1).at <= 1_000);
    requests.at(-1).resolve('good');
    assert.equal(await ticket, 'good');
  });

  it('is the first answer of parallel requests', async (t) => {
    const { clock, requests, give, pass } = setUp(t);
    const ticket = give(new AbortController().signal);
    await pass(500);
    assert.equal(requests.length, 6);
    requests[3].resolve('good');
    assert.equal(await ticket, 'good');
    assert.ok(requests.every(({ signal }) => signal.aborted), 'the others are given up');
    assert.equal(clock.timers, 0);
  });

  it('rejects with the error of its source', async (t) => {
    const { requests, give } = setUp(t);
    const ticket = give(new AbortController().signal);
    requests[0].reject(new Error('refused'));
    await assert.rejects(ticket, /refused/);
  });

  it('is not requested again after an abort', async (t) => {
    const { requests, give, pass } = setUp(t);
    const abort = new AbortController();
    const ticket = give(abort.signal);
    await pass(500);
    abort.abort();
    requests.at(-1).reject(new Error('aborted'));
    await assert.rejects(ticket, /aborted/);
    assert.equal(requests.length, 6);
    assert.ok(requests.at(-1).signal.aborted);
  });
});
