import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { momentNow } from '../src/moment.js';
import { BURST, PER_SECOND, RENEWAL_MS, Subscriptions } from '../src/subscriptions.js';
import { Clock } from './support/clock.js';

/** The server's default limits for a browser: limits.message_burst and limits.messages_per_second. */
const SERVER_BURST = 200;
const SERVER_PER_SECOND = 50;

const topics = (count) => Array.from({ length: count }, (_, index) => `topic ${index}`);

/** Subscriptions of a session whose send buffer is never full, and the messages with their times. */
function setUp(t) {
  const clock = new Clock(t);
  const sent = [];
  const subscriptions = new Subscriptions((text) => {
    sent.push({ at: clock.now, text });
    return true;
  }, () => {}, () => 1);
  return { clock, sent, subscriptions };
}

/** A listener with an application's callback. */
const listener = (more = {}) => ({
  recovers: false,
  mayWait: false,
  onEvent: () => {},
  onMissed: () => {},
  onIncomplete: () => {},
  tags: () => null,
  nextHistoryRequest: () => null,
  ...more,
});

const listenTo = (subscriptions, names, more) => names.map((topic) => subscriptions.add(topic, listener(more)).remove);

describe('many subscriptions', () => {
  it('are sent at once, up to the default limit of a server', (t) => {
    const { sent, subscriptions } = setUp(t);
    listenTo(subscriptions, topics(100));
    subscriptions.opened(momentNow());
    assert.equal(sent.length, 100);
  });

  it("beyond that use at most half of the server's rate limit", (t) => {
    const { clock, sent, subscriptions } = setUp(t);
    subscriptions.opened(momentNow());
    listenTo(subscriptions, topics(500));
    clock.pass(20_000);
    assert.deepEqual(sent.map(({ text }) => text), topics(500).map((topic) => JSON.stringify([5, topic])));
    sent.forEach(({ at }, index) => {
      const allowed = SERVER_BURST / 2 + (at / 1_000) * (SERVER_PER_SECOND / 2);
      assert.ok(index < allowed, `${index + 1} were sent within ${at} ms`);
    });
    assert.equal(clock.timers, 0);
  });

  it('may burst again after a while', (t) => {
    const { clock, sent, subscriptions } = setUp(t);
    subscriptions.opened(momentNow());
    listenTo(subscriptions, topics(BURST));
    clock.pass((BURST / PER_SECOND) * 1_000);
    sent.length = 0;
    listenTo(subscriptions, topics(BURST * 3).slice(BURST));
    assert.equal(sent.length, BURST);
  });

  it('that end before they were sent cause no message', (t) => {
    const { clock, sent, subscriptions } = setUp(t);
    subscriptions.opened(momentNow());
    listenTo(subscriptions, topics(BURST));
    subscriptions.add('late', listener()).remove();
    clock.pass(60_000);
    assert.equal(sent.length, BURST);
  });

  it('are sent in each session, and leave no timer behind', (t) => {
    const { clock, sent, subscriptions } = setUp(t);
    subscriptions.opened(momentNow());
    const stops = listenTo(subscriptions, topics(BURST + 2));
    subscriptions.ended(false);
    assert.equal(clock.timers, 0);
    sent.length = 0;
    stops[0]();
    clock.pass(60_000);
    subscriptions.opened(momentNow());
    clock.pass(60_000);
    assert.deepEqual(sent.map(({ text }) => JSON.parse(text)[1]), topics(BURST + 2).slice(1));
  });
});

/** Answers the last call for a topic. */
const answer = (subscriptions, { text }, result = { position: '5', complete: true, events: [] }) =>
  subscriptions.answered({ type: 'callResult', callId: JSON.parse(text)[1], result });

/** Procedure, topic and last argument of a call. */
const call = ({ text }) => JSON.parse(text).slice(2);

describe('many subscriptions with recovery', () => {
  it("use at most half of the server's rate limit", (t) => {
    const { clock, sent, subscriptions } = setUp(t);
    subscriptions.opened(momentNow());
    listenTo(subscriptions, topics(300), { recovers: true });
    assert.equal(sent.length, BURST);
    clock.pass(8_000);
    assert.deepEqual(sent.map(call), topics(300).map((topic) => ['orosync/subscribe', topic]));
    sent.forEach(({ at }, index) => {
      assert.ok(index < BURST + (at / 1_000) * PER_SECOND, `${index + 1} were sent within ${at} ms`);
    });
    assert.equal(clock.timers, 0);
  });

  it('are repeated with SUBSCRIBE within the same limit when a server does not know the call', (t) => {
    const { clock, sent, subscriptions } = setUp(t);
    subscriptions.opened(momentNow());
    listenTo(subscriptions, topics(BURST), { recovers: true });
    for (const { text } of [...sent]) {
      const [, callId] = JSON.parse(text);
      subscriptions.failed({ type: 'callError', callId, uri: 'orosync/subscribe', reason: '', details: { code: 404 } });
    }
    assert.equal(sent.length, BURST);
    clock.pass((BURST / PER_SECOND) * 1_000);
    assert.deepEqual(sent.slice(BURST).map(({ text }) => text), topics(BURST).map((topic) => JSON.stringify([5, topic])));
  });
});

describe('positions of a renewal', () => {
  /** The position that the next session requests. */
  const nextSince = ({ sent, subscriptions }) => {
    subscriptions.ended(false);
    subscriptions.opened(momentNow());
    return call(sent.at(-1))[2]?.since;
  };

  it('are adopted for topics with recovery', (t) => {
    const { sent, subscriptions } = setUp(t);
    subscriptions.opened(momentNow());
    listenTo(subscriptions, ['a'], { recovers: true });
    answer(subscriptions, sent.at(-1));
    subscriptions.advance({ a: '9', b: '7', toString: '1' });
    assert.equal(nextSince({ sent, subscriptions }), '9');
  });

  it('are ignored while a topic waits for its answer', (t) => {
    const { sent, subscriptions } = setUp(t);
    subscriptions.opened(momentNow());
    listenTo(subscriptions, ['a'], { recovers: true });
    answer(subscriptions, sent.at(-1));
    assert.equal(nextSince({ sent, subscriptions }), '5');
    subscriptions.advance({ a: '9' });
    assert.equal(nextSince({ sent, subscriptions }), '5');
  });

  it('are ignored for topics without recovery', (t) => {
    const { sent, subscriptions } = setUp(t);
    subscriptions.opened(momentNow());
    const [stop] = listenTo(subscriptions, ['a']);
    subscriptions.advance({ a: '9' });
    listenTo(subscriptions, ['a'], { recovers: true });
    stop();
    assert.equal(nextSince({ sent, subscriptions }), undefined);
  });
});

describe('tags', () => {
  /** A topic with a listener whose tags a test can change. */
  const tagged = (t, tags) => {
    const { clock, sent, subscriptions } = setUp(t);
    const listened = listener({ recovers: true, mayWait: true, tags: () => tags });
    subscriptions.opened(momentNow());
    const { update, remove } = subscriptions.add('a', listened);
    const set = (next) => {
      tags = next;
      update();
    };
    return { clock, sent, subscriptions, set, remove };
  };
  const soon = () => new Promise(setImmediate);
  const many = (count) => Array.from({ length: count }, (_, index) => `tag ${1_000 + index}`);

  it('are sent with the call, in a microtask, and again when they have changed', async (t) => {
    const { sent, subscriptions, set } = tagged(t, ['y']);
    set(['y', 'x']);
    assert.equal(sent.length, 0);
    await soon();
    assert.deepEqual(sent.map(call), [['orosync/subscribe', 'a', { tags: ['x', 'y'] }]]);

    set(['z']);
    await soon();
    assert.equal(sent.length, 1, 'not before the answer');
    answer(subscriptions, sent[0]);
    assert.deepEqual(call(sent[1]), ['orosync/tags', 'a', ['z']]);
    answer(subscriptions, sent[1], null);
    set([]);
    set(['z', 'z']);
    await soon();
    assert.equal(sent.length, 2, 'they are what they were');
    set([]);
    await soon();
    assert.deepEqual(call(sent[2]), ['orosync/tags', 'a', []]);
  });

  it('are not sent beyond two hundred', async (t) => {
    const { sent, subscriptions, set } = tagged(t, many(200));
    await soon();
    assert.deepEqual(call(sent[0])[2], { tags: many(200) });
    answer(subscriptions, sent[0]);
    set(many(201));
    await soon();
    assert.deepEqual(call(sent[1]), ['orosync/subscribe', 'a']);
    answer(subscriptions, sent[1]);
    set(many(202));
    await soon();
    assert.equal(sent.length, 2);
    set(['x']);
    await soon();
    assert.deepEqual(call(sent[2]), ['orosync/tags', 'a', ['x']]);
  });

  it('are not sent beyond the size of a message', async (t) => {
    const long = 'x'.repeat(16 * 1024 - 4);
    const { sent, subscriptions, set } = tagged(t, [long]);
    await soon();
    assert.deepEqual(call(sent[0])[2], { tags: [long] });
    answer(subscriptions, sent[0]);
    set([`${long}x`]);
    await soon();
    assert.deepEqual(call(sent[1]), ['orosync/subscribe', 'a']);
  });

  it('are not sent when another listener wants all events, even without recovery', async (t) => {
    const { sent, subscriptions } = tagged(t, ['x']);
    await soon();
    answer(subscriptions, sent[0]);
    const [stop] = listenTo(subscriptions, ['a']);
    assert.deepEqual(call(sent[1]), ['orosync/subscribe', 'a']);
    answer(subscriptions, sent[1]);
    stop();
    assert.deepEqual(call(sent[2]), ['orosync/tags', 'a', ['x']]);
  });

  it('of the remaining listeners are kept when a listener is removed', async (t) => {
    const { sent, subscriptions, remove } = tagged(t, ['x']);
    await soon();
    answer(subscriptions, sent[0]);
    listenTo(subscriptions, ['a'], { tags: () => ['y'] });
    answer(subscriptions, sent[1], null);
    remove();
    await soon();
    assert.deepEqual(sent.slice(1).map(call), [['orosync/tags', 'a', ['x', 'y']], ['orosync/tags', 'a', ['y']]]);
  });

  it('that a server rejects are not resent in this session', async (t) => {
    const { sent, subscriptions, set } = tagged(t, ['x']);
    await soon();
    answer(subscriptions, sent[0]);
    set(['y']);
    await soon();
    const [, callId] = JSON.parse(sent[1].text);
    subscriptions.failed({ type: 'callError', callId, uri: 'orosync/tags', reason: '', details: { code: 404 } });
    assert.deepEqual(call(sent[2]), ['orosync/subscribe', 'a']);
    answer(subscriptions, sent[2]);
    set(['z']);
    await soon();
    assert.equal(sent.length, 3);
    subscriptions.ended(false);
    subscriptions.opened(momentNow());
    assert.deepEqual(call(sent[3]), ['orosync/subscribe', 'a', { since: '5', tags: ['z'] }]);
  });
});

describe('a gap during a ticket renewal', () => {
  const UNKEPT = { position: '0.0', complete: false, events: [] };
  const UNKNOWN = { code: 404 };

  /** A session that is subscribed to the topic "a", after the answer to the call or an error. */
  function following(t, { result = UNKEPT, details } = {}) {
    const all = setUp(t);
    const received = [];
    all.subscriptions.add('a', listener({ recovers: true, onIncomplete: () => received.push('incomplete') }));
    const open = () => {
      all.subscriptions.opened(momentNow());
      const requested = all.sent.at(-1);
      if (details === undefined) {
        answer(all.subscriptions, requested, result);
      } else {
        const [, callId] = JSON.parse(requested.text);
        all.subscriptions.failed({ type: 'callError', callId, uri: 'orosync/subscribe', reason: '', details });
      }
    };
    open();
    return { ...all, received, open };
  }

  for (const [what, answers] of [['no history is kept', {}], ['the server knows no history', { details: UNKNOWN }]]) {
    it(`is not reported when ${what}, unless it took longer`, (t) => {
      const { clock, subscriptions, received, open } = following(t, answers);
      for (const [passed, expected] of [[RENEWAL_MS - 1, []], [RENEWAL_MS, ['incomplete']]]) {
        subscriptions.ended(true);
        clock.pass(passed);
        open();
        assert.deepEqual(received, expected);
      }
    });

    it(`is reported when ${what} and the first attempt fails, as for any other gap`, (t) => {
      const { subscriptions, received, open } = following(t, answers);
      subscriptions.ended(true);
      subscriptions.ended(false);
      open();
      assert.deepEqual(received, ['incomplete']);
      subscriptions.ended(false);
      open();
      assert.deepEqual(received, ['incomplete', 'incomplete']);
    });
  }

  it('is reported when the history of the server is incomplete', (t) => {
    const { subscriptions, received, open } = following(t, { result: { position: '5', complete: false, events: [] } });
    subscriptions.ended(true);
    open();
    assert.deepEqual(received, ['incomplete']);
  });

  it('is reported when the earlier session was not subscribed', (t) => {
    const { subscriptions, received, open } = following(t);
    subscriptions.ended(false);
    subscriptions.opened(momentNow());
    subscriptions.ended(true);
    open();
    assert.deepEqual(received, ['incomplete']);
  });
});

describe('a call that the server cannot answer at the moment', () => {
  const FIRST_MS = 1_000;

  const fail = (subscriptions, { text }) =>
    subscriptions.failed({ type: 'callError', callId: JSON.parse(text)[1], uri: 'orosync/subscribe', reason: '', details: { code: 503 } });

  /** A listener of the topic "a" at position 5, and what it receives in the next session. */
  function reconnected(t, more = {}) {
    const all = setUp(t);
    const received = [];
    all.subscriptions.opened(momentNow());
    const { update, remove } = all.subscriptions.add('a', listener({
      recovers: true,
      onEvent: (payload) => received.push(payload),
      onMissed: (payload) => received.push(payload),
      onIncomplete: () => received.push('incomplete'),
      ...more,
    }));
    answer(all.subscriptions, all.sent[0]);
    const reopen = (isRenewed = false) => {
      all.subscriptions.ended(isRenewed);
      all.sent.length = 0;
      all.subscriptions.opened(momentNow());
    };
    reopen();
    return { ...all, received, update, remove, reopen };
  }

  it('is repeated from the same position with backoff, and nothing is reported meanwhile', (t) => {
    const { clock, sent, subscriptions, received, update } = reconnected(t);
    for (const wait of [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]) {
      const count = sent.length;
      assert.equal(fail(subscriptions, sent.at(-1)), 'failed');
      update();
      clock.pass(wait - 1);
      assert.equal(sent.length, count);
      clock.pass(1);
      assert.equal(sent.length, count + 1);
    }
    sent.forEach((message) => assert.deepEqual(call(message), ['orosync/subscribe', 'a', { since: '5' }]));
    assert.deepEqual(received, []);
    answer(subscriptions, sent.at(-1), { position: '7', complete: true, events: [['6', 'x'], ['7', 'y']] });
    assert.deepEqual(received, ['x', 'y']);
    assert.equal(clock.timers, 0);
  });

  it('is reported as incomplete when its answer is, and resets the backoff', (t) => {
    let tags = ['x'];
    const { clock, sent, subscriptions, received, update } = reconnected(t, { tags: () => tags });
    fail(subscriptions, sent[0]);
    clock.pass(FIRST_MS);
    fail(subscriptions, sent[1]);
    clock.pass(2 * FIRST_MS);
    answer(subscriptions, sent[2], { position: '7', complete: false, events: [] });
    assert.deepEqual(received, ['incomplete']);
    tags = null;
    update();
    fail(subscriptions, sent[3]);
    clock.pass(FIRST_MS);
    assert.deepEqual(sent.slice(3).map(call), Array(2).fill(['orosync/subscribe', 'a']));
  });

  it('is repeated by the next session if this one ends', (t) => {
    const { clock, sent, subscriptions, reopen } = reconnected(t);
    fail(subscriptions, sent[0]);
    reopen();
    assert.deepEqual(sent.map(call), [['orosync/subscribe', 'a', { since: '5' }]]);
    assert.equal(clock.timers, 0);
  });

  it('is not repeated without listeners', (t) => {
    const { clock, sent, subscriptions, remove } = reconnected(t);
    fail(subscriptions, sent[0]);
    remove();
    assert.equal(clock.timers, 0);
    assert.deepEqual(subscriptions.topics, []);
    clock.pass(60_000);
    assert.equal(sent.length, 1, 'there is nothing to unsubscribe');
  });

  it('makes even a short gap reported', (t) => {
    const { clock, sent, subscriptions, received, reopen } = reconnected(t);
    answer(subscriptions, sent[0]);
    reopen(true);
    fail(subscriptions, sent[0]);
    clock.pass(FIRST_MS);
    answer(subscriptions, sent[1], { position: '0.0', complete: false, events: [] });
    assert.deepEqual(received, ['incomplete']);
  });

  it('does not affect the existing subscription and its tags', (t) => {
    let tags = ['x'];
    let milliseconds = null;
    const settled = [];
    const nextHistoryRequest = () => {
      const requested = milliseconds;
      milliseconds = null;
      const lost = () => {
        milliseconds = requested;
      };
      return requested === null ? null : { milliseconds: requested, answered: (...received) => settled.push(received), lost };
    };
    const { clock, sent, subscriptions, received, update } = reconnected(t, { tags: () => tags, nextHistoryRequest });
    answer(subscriptions, sent[0]);
    milliseconds = 9;
    update();
    fail(subscriptions, sent[1]);
    subscriptions.event({ topic: 'a', payload: 'new', position: '6' });
    tags = ['y'];
    update();
    assert.deepEqual(call(sent[2]), ['orosync/tags', 'a', ['y']]);
    answer(subscriptions, sent[2], null);
    clock.pass(FIRST_MS);
    assert.deepEqual(call(sent[3]), ['orosync/subscribe', 'a', { since: { milliseconds: 9 }, tags: ['y'] }]);
    answer(subscriptions, sent[3], { position: '6', complete: true, events: [['6', 'new']] });
    assert.deepEqual([received, settled], [['new'], [[['new'], 'complete']]]);
  });

  it('sends its tags again', (t) => {
    let tags = ['x'];
    const { clock, sent, subscriptions, update } = reconnected(t, { tags: () => tags });
    answer(subscriptions, sent[0]);
    tags = null;
    update();
    fail(subscriptions, sent[1]);
    clock.pass(FIRST_MS);
    assert.deepEqual(sent.slice(1).map(call), Array(2).fill(['orosync/subscribe', 'a']));
  });

  it('keeps an existing subscription without recovery', (t) => {
    const { clock, sent, subscriptions } = setUp(t);
    const events = [];
    subscriptions.opened(momentNow());
    subscriptions.add('a', listener({ onEvent: (payload) => events.push(payload) }));
    listenTo(subscriptions, ['a'], { recovers: true });
    fail(subscriptions, sent[1]);
    subscriptions.event({ topic: 'a', payload: 1 });
    clock.pass(FIRST_MS);
    assert.deepEqual(events, [1]);
    assert.deepEqual(sent.slice(1).map(call), Array(2).fill(['orosync/subscribe', 'a']));
  });
});

describe('a request for earlier events', () => {
  /** A listener that sends one request, and repeats a lost one. */
  const requesting = (t) => {
    const { sent, subscriptions } = setUp(t);
    const settled = [];
    let milliseconds = 700;
    const nextHistoryRequest = () => {
      if (milliseconds === null) {
        return null;
      }
      const requested = milliseconds;
      milliseconds = null;
      return {
        milliseconds: requested,
        answered: (...answered) => settled.push(answered),
        lost: () => {
          milliseconds = requested;
          settled.push('lost');
        },
      };
    };
    const missed = [];
    const { update } = subscriptions.add('a', listener({ recovers: true, nextHistoryRequest, onMissed: (payload) => missed.push(payload) }));
    const request = (next) => {
      milliseconds = next;
      update();
    };
    return { sent, subscriptions, settled, missed, request };
  };
  const events = [['6', 'x'], ['7', 'y']];

  it('is sent with the first call, and only its listener receives the answer', (t) => {
    const { sent, subscriptions, settled, missed } = requesting(t);
    listenTo(subscriptions, ['a'], { recovers: true, onMissed: () => assert.fail('it has sent no request') });
    subscriptions.opened(momentNow());
    assert.deepEqual(sent.map(call), [['orosync/subscribe', 'a', { since: { milliseconds: 700 } }]]);
    answer(subscriptions, sent[0], { position: '7', complete: true, events });
    assert.deepEqual(settled, [[['x', 'y'], 'complete']]);
    assert.deepEqual(missed, []);
  });

  it('is sent after the answer by position, one after the other', (t) => {
    const { sent, subscriptions, settled, missed, request } = requesting(t);
    subscriptions.opened(momentNow());
    answer(subscriptions, sent[0]);
    subscriptions.ended(false);
    request(-300);
    subscriptions.opened(momentNow());
    answer(subscriptions, sent[1], { position: '7', complete: true, events });
    assert.deepEqual(missed, ['x', 'y']);
    answer(subscriptions, sent[2], { position: '7', complete: false, events: [events[1]] });
    request(5);
    assert.deepEqual(sent.map((message) => call(message)[2].since), [
      { milliseconds: 700 },
      '5',
      { milliseconds: -300 },
      { milliseconds: 5 },
    ]);
    assert.deepEqual(settled, [[[], 'complete'], [['y'], 'incomplete']]);
  });

  it('is lost when the connection ends or the topic is refused', (t) => {
    const { sent, subscriptions, settled } = requesting(t);
    subscriptions.opened(momentNow());
    subscriptions.ended(false);
    subscriptions.opened(momentNow());
    const [, callId] = JSON.parse(sent[1].text);
    assert.equal(subscriptions.failed({ type: 'callError', callId, uri: 'a', reason: '', details: { code: 401 } }), 'refused');
    assert.deepEqual(settled, ['lost', 'lost']);
    assert.equal(sent.length, 2);
  });

  it('is answered as incomplete when the server rejects it', (t) => {
    const { sent, subscriptions, settled, request } = requesting(t);
    subscriptions.opened(momentNow());
    answer(subscriptions, sent[0]);
    request(5);
    const [, callId] = JSON.parse(sent[1].text);
    subscriptions.failed({ type: 'callError', callId, uri: 'orosync/subscribe', reason: '', details: { code: 400 } });
    assert.deepEqual(settled, [[[], 'complete'], [[], 'incomplete']]);
    assert.equal(sent.length, 2);
  });

  it('is answered as withoutHistory when no history is kept', (t) => {
    const { sent, subscriptions, settled } = requesting(t);
    subscriptions.opened(momentNow());
    answer(subscriptions, sent[0], { position: '0.0', complete: false, events: [] });
    assert.deepEqual(settled, [[[], 'withoutHistory']]);
  });

  it('is answered without events when the server does not know the call', (t) => {
    const { sent, subscriptions, settled, request } = requesting(t);
    subscriptions.opened(momentNow());
    const [, callId] = JSON.parse(sent[0].text);
    subscriptions.failed({ type: 'callError', callId, uri: 'orosync/subscribe', reason: '', details: { code: 404 } });
    request(5);
    assert.deepEqual(settled, ['lost', [[], 'withoutHistory'], [[], 'withoutHistory']]);
    assert.equal(sent.length, 2);
  });

  it('is repeated when its call could not be sent', (t) => {
    const { clock, sent, subscriptions } = setUp(t);
    subscriptions.opened(momentNow());
    listenTo(subscriptions, topics(BURST));
    let isOpen = true;
    const request = { milliseconds: 1, answered: () => {}, lost: () => (isOpen = true) };
    subscriptions.add('a', listener({ recovers: true, nextHistoryRequest: () => (isOpen ? ((isOpen = false), request) : null) }));
    assert.equal(isOpen, true);
    clock.pass(1_000);
    assert.deepEqual(sent.slice(BURST).map(call), [['orosync/subscribe', 'a', { since: { milliseconds: 1 } }]]);
  });
});
