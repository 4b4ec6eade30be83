import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BURST, PER_SECOND, Subscriptions } from '../src/subscriptions.js';
import { Clock } from './support/clock.js';

/** What the server allows a browser by default: limits.message_burst and limits.messages_per_second. */
const SERVER_BURST = 200;
const SERVER_PER_SECOND = 50;

const topics = (count) => Array.from({ length: count }, (_, index) => `topic ${index}`);

/** Subscriptions of a session that takes everything, and what was sent at which time. */
function stage(t) {
  const clock = new Clock(t);
  const sent = [];
  const subscriptions = new Subscriptions((text) => {
    sent.push({ at: clock.now, text });
    return true;
  });
  return { clock, sent, subscriptions };
}

const listenTo = (subscriptions, names) => names.map((topic) => subscriptions.add(topic, () => {}));

describe('many subscriptions', () => {
  it('leave at once, as many as a server takes by default', (t) => {
    const { sent, subscriptions } = stage(t);
    listenTo(subscriptions, topics(100));
    subscriptions.opened();
    assert.equal(sent.length, 100);
  });

  it('beyond that never cost more than half of what a server allows', (t) => {
    const { clock, sent, subscriptions } = stage(t);
    subscriptions.opened();
    listenTo(subscriptions, topics(500));
    clock.pass(20_000);
    assert.deepEqual(sent.map(({ text }) => text), topics(500).map((topic) => JSON.stringify([5, topic])));
    sent.forEach(({ at }, index) => {
      const allowed = SERVER_BURST / 2 + (at / 1_000) * (SERVER_PER_SECOND / 2);
      assert.ok(index < allowed, `${index + 1} were sent within ${at} ms`);
    });
    assert.equal(clock.timers, 0);
  });

  it('may come in bursts again after a while', (t) => {
    const { clock, sent, subscriptions } = stage(t);
    subscriptions.opened();
    listenTo(subscriptions, topics(BURST));
    clock.pass((BURST / PER_SECOND) * 1_000);
    sent.length = 0;
    listenTo(subscriptions, topics(BURST * 3).slice(BURST));
    assert.equal(sent.length, BURST);
  });

  it('are ended before they are sent without a message', (t) => {
    const { clock, sent, subscriptions } = stage(t);
    subscriptions.opened();
    listenTo(subscriptions, topics(BURST));
    subscriptions.add('late', () => {})();
    clock.pass(60_000);
    assert.equal(sent.length, BURST);
  });

  it('begin anew with each session, and leave no timer behind when it ends', (t) => {
    const { clock, sent, subscriptions } = stage(t);
    subscriptions.opened();
    const stops = listenTo(subscriptions, topics(BURST + 2));
    subscriptions.ended();
    assert.equal(clock.timers, 0);
    sent.length = 0;
    stops[0]();
    clock.pass(60_000);
    subscriptions.opened();
    clock.pass(60_000);
    assert.deepEqual(sent.map(({ text }) => JSON.parse(text)[1]), topics(BURST + 2).slice(1));
  });
});
