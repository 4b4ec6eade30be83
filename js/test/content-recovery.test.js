import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ContentTracker } from '../src/index.js';
import { clientOf, connectedClient, inboxOf, nextSession, processed } from './support/client.js';
import { Inbox } from './support/inbox.js';
import { startServer } from './support/server.js';

const TOPIC = 'oro/data/update';
const UNCERTAIN = { tags: [], userNames: [], isCertain: false };

/** Tolerance for elapsed time in a test. */
const SLACK_MS = 2_000;

/** A server and a client that is not connected yet; `tag(name, …)` registers content whose reports carry the name. */
async function page(t) {
  const server = await startServer(t);
  const client = clientOf(server, t);
  const tracker = new ContentTracker(client, { userName: 'anna' });
  const reports = new Inbox('a report');
  const tag = (name, tags, options) => tracker.tagContent(tags, (outdated) => reports.put({ name, ...outdated }), options);
  const connect = async () => {
    const connected = inboxOf(client, 'connected');
    client.connect();
    const session = await server.sessions.take();
    await connected.take();
    return session;
  };
  return { server, client, tracker, reports, tag, connect };
}

/** Both clocks of the process, which a test can advance. */
function clocks(t) {
  const offset = { monotonic: 0, wall: 0 };
  const [monotonic, wall] = [performance.now.bind(performance), Date.now];
  t.mock.method(performance, 'now', () => monotonic() + offset.monotonic);
  t.mock.method(Date, 'now', () => wall() + offset.wall);
  return {
    pass: (milliseconds) => {
      offset.monotonic += milliseconds;
      offset.wall += milliseconds;
    },
    sleep: (milliseconds) => (offset.wall += milliseconds),
    set: (milliseconds) => (offset.wall += milliseconds),
  };
}

const changed = (...tags) => tags.map((tagname) => ({ username: 'ben', tagname }));
const event = (position, ...tags) => [position, changed(...tags)];
const report = (name, ...tags) => ({ name, tags, userNames: ['ben'], isCertain: true });

function assertAge({ options }, milliseconds) {
  const { milliseconds: requested } = options.since;
  assert.ok(requested >= milliseconds && requested < milliseconds + SLACK_MS, `requested ${requested} ms instead of ${milliseconds}`);
}

describe('content that was requested before the session', () => {
  it('is recovered from its request on, with all of its tags', async (t) => {
    const time = clocks(t);
    const { reports, tag, connect } = await page(t);
    const since = performance.now();
    time.pass(5_000);
    tag('form', ['b', 'a'], { since });
    time.pass(2_000);
    const session = await connect();
    const call = await session.subscribed();
    assert.deepEqual([call.topic, call.options.tags], [TOPIC, ['a', 'b']]);
    assertAge(call, 7_000);
    call.answer('6', [event('5', 'x'), event('6', 'a')]);
    assert.deepEqual(await reports.take(), report('form', 'a'));

    // That tag was already reported.
    assert.deepEqual((await session.called('orosync/tags')).args, [TOPIC, ['b']]);
    session.publish(TOPIC, changed('a', 'b'), '7');
    assert.deepEqual(await reports.take(), report('form', 'b'));
  });

  it('keeps its age when the computer has slept', async (t) => {
    const time = clocks(t);
    const { tag, connect } = await page(t);
    tag('form', ['a'], { since: performance.now() });
    time.sleep(3_600_000);
    assertAge(await (await connect()).subscribed(), 3_600_000);
  });

  it('keeps its age when the computer has slept during loading', async (t) => {
    const time = clocks(t);
    const { tag, connect } = await page(t);
    const since = performance.now();
    time.sleep(3_600_000);
    tag('form', ['a'], { since });
    assertAge(await (await connect()).subscribed(), 3_600_000);
  });

  it('keeps its age when the clock was set back, or when the computer slept before the request', async (t) => {
    const time = clocks(t);
    const { client, tag, connect } = await page(t);
    const disconnected = inboxOf(client, 'disconnected');
    const session = await connect();
    time.sleep(3_600_000);
    session.drop();
    await disconnected.take();
    tag('form', ['a'], { since: performance.now() });
    time.pass(5_000);
    time.set(-60_000);
    assertAge(await (await connect()).subscribed(), 5_000);
  });

  it('is requested again when no answer arrived', async (t) => {
    const time = clocks(t);
    const { server, client, reports, tag, connect } = await page(t);
    tag('form', ['a'], { since: performance.now() });
    const session = await connect();
    await session.subscribed();
    time.pass(4_000);
    const second = await nextSession(server, client, session);
    const call = await second.subscribed();
    assertAge(call, 4_000);
    call.answer('5', [event('5', 'a')]);
    assert.deepEqual(await reports.take(), report('form', 'a'));
  });

  it('is reported as not certain once, after the known changes, when the answer is incomplete', async (t) => {
    const { server, client, reports, tag, connect } = await page(t);
    const since = performance.now(); // the same for all, so that they share one call
    tag('form', ['a', 'b'], { since });
    tag('grid', ['c'], { since });
    tag('nothing', [], { since });
    tag('outdated', ['a'], { since });
    const session = await connect();
    (await session.subscribed()).answer('5', [event('5', 'a')], false);
    assert.deepEqual(await reports.takeMany(4), [
      report('form', 'a'),
      report('outdated', 'a'),
      { name: 'form', ...UNCERTAIN },
      { name: 'grid', ...UNCERTAIN },
    ]);
    const second = await nextSession(server, client, session);
    (await second.subscribed()).answer('9', [event('9', 'b')], false);
    assert.deepEqual(await reports.take(), report('form', 'b'));
    await processed(client, second);
    assert.equal(reports.size, 0);
  });

  it('of almost the same time shares one call, which starts at the oldest', async (t) => {
    const time = clocks(t);
    const { client, reports, tag, connect } = await page(t);
    const since = performance.now();
    tag('second', ['b'], { since: since + 40 });
    tag('first', ['a'], { since });
    time.pass(5_000);
    const session = await connect();
    const call = await session.subscribed();
    assertAge(call, 5_000);
    call.answer('6', [event('6', 'a', 'b')]);
    assert.deepEqual(await reports.takeMany(2), [report('second', 'b'), report('first', 'a')]);
    assert.deepEqual((await session.called('orosync/tags')).args, [TOPIC, []]);
    await processed(client, session);
  });

  it('of different times is recovered by separate calls, and receives no event from before its request', async (t) => {
    const time = clocks(t);
    const { reports, tag, connect } = await page(t);
    tag('young', ['a', 'b'], { since: performance.now() });
    tag('old', ['a'], { since: performance.now() - 10_000 });
    time.pass(1_000);
    const session = await connect();
    const first = await session.subscribed();
    assertAge(first, 11_000);
    first.answer('6', [event('5', 'a'), event('6', 'b')]);
    const second = await session.subscribed();
    assertAge(second, 1_000);
    assert.deepEqual(second.options.tags, ['a', 'b']);
    second.answer('6', [event('6', 'b')]);
    assert.deepEqual(await reports.takeMany(2), [report('old', 'a'), report('young', 'b')]);
  });
});

describe('content that is loaded later', () => {
  /** A page with a form, recovered up to position "5". */
  async function known(t) {
    const all = await page(t);
    const forget = all.tag('form', ['a']);
    const session = await all.connect();
    (await session.subscribed()).answer('5');
    await processed(all.client, session);
    return { ...all, session, forget };
  }

  it('is recovered by a call with all tags, and alone receives the answer', async (t) => {
    const time = clocks(t);
    const { session, reports, tag } = await known(t);
    time.pass(60_000);
    const since = performance.now();
    time.pass(3_000);
    tag('row', ['b', 'a'], { since });
    tag('other row', ['b'], { since });
    const call = await session.subscribed();
    assert.deepEqual(call.options.tags, ['a', 'b']);
    const { milliseconds } = call.options.since;
    assert.ok(milliseconds <= -60_000 && milliseconds > -60_000 - SLACK_MS, `${milliseconds} ms`);
    call.answer('6', [event('6', 'a', 'b')]);
    assert.deepEqual(await reports.takeMany(2), [report('row', 'a', 'b'), report('other row', 'b')]);
    session.publish(TOPIC, changed('a'), '7');
    assert.deepEqual(await reports.take(), report('form', 'a'));
  });

  it('receives an event once even if it arrived before the answer', async (t) => {
    const { client, session, reports, tag } = await known(t);
    tag('row', ['b']);
    const call = await session.subscribed();
    session.publish(TOPIC, changed('b'), '6');
    call.answer('6', [event('6', 'b')]);
    assert.deepEqual(await reports.take(), report('row', 'b'));
    await processed(client, session);
    assert.equal(reports.size, 0);
  });

  it('is requested again when the connection ended before the answer, while known content recovers by position', async (t) => {
    const { server, client, session, reports, tag } = await known(t);
    tag('row', ['a']);
    await session.subscribed();
    const second = await nextSession(server, client, session);
    const byPosition = await second.subscribed();
    assert.deepEqual(byPosition.options, { since: '5', tags: ['a'] });
    byPosition.answer('6', [event('6', 'a')]);
    assert.deepEqual(await reports.take(), report('form', 'a'));
    const byTime = await second.subscribed();
    assertAge(byTime, 0);
    byTime.answer('6', [event('6', 'a')]);
    assert.deepEqual(await reports.take(), report('row', 'a'));
  });

  it('keeps the subscription when it replaces other content', async (t) => {
    const { client, session, tag, forget } = await known(t);
    forget();
    tag('form', ['a']);
    (await session.subscribed()).answer('5');
    await processed(client, session);
    assert.equal(session.messages.size, 0);
  });

  it('causes no call when it is removed at once or has no tags', async (t) => {
    const { client, session, tag } = await known(t);
    tag('row', ['b'])();
    tag('empty', []);
    await processed(client, session);
    assert.equal(session.messages.size, 0);
  });

  it('does not receive changes of content that was forgotten meanwhile', async (t) => {
    const { client, session, reports, tag } = await known(t);
    const forgetRow = tag('row', ['b']);
    const call = await session.subscribed();
    forgetRow();
    call.answer('6', [event('6', 'b')], false);
    await processed(client, session);
    assert.equal(reports.size, 0);
  });
});

describe('content of a page that was offline', () => {
  it('receives the missed changes by position', async (t) => {
    const { server, client, reports, tag, connect } = await page(t);
    tag('form', ['a', 'b']);
    const session = await connect();
    (await session.subscribed()).answer('5');
    const second = await nextSession(server, client, session);
    const call = await second.subscribed();
    assert.deepEqual(call.options, { since: '5', tags: ['a', 'b'] });
    call.answer('7', [event('6', 'b'), event('7', 'a')]);
    assert.deepEqual(await reports.takeMany(2), [report('form', 'b'), report('form', 'a')]);
    await processed(client, second);
    assert.equal(reports.size, 0);
  });

  it('is not certain when the server has dropped changes, until it is tagged again', async (t) => {
    const { server, client, reports, tag, connect } = await page(t);
    const incomplete = inboxOf(client, 'incomplete');
    const forget = tag('form', ['a']);
    let session = await connect();
    (await session.subscribed()).answer('5');
    for (const isFirst of [true, false]) {
      session = await nextSession(server, client, session);
      (await session.subscribed()).answer('1', [], false);
      assert.deepEqual(await incomplete.take(), { topic: TOPIC });
      assert.equal(reports.size, isFirst ? 1 : 0);
      if (isFirst) {
        assert.deepEqual(await reports.take(), { name: 'form', ...UNCERTAIN });
      }
    }
    forget();
    tag('form', ['a']);
    (await session.subscribed()).answer('1');
    session = await nextSession(server, client, session);
    (await session.subscribed()).answer('1', [], false);
    assert.deepEqual(await reports.take(), { name: 'form', ...UNCERTAIN });
  });

  it('is not certain after a gap on a server without recovery', async (t) => {
    const { server, client, reports, tag, connect } = await page(t);
    tag('form', ['a']);
    const session = await connect();
    (await session.subscribed()).fail(404);
    assert.deepEqual(await session.messages.take(), [5, TOPIC]);
    tag('row', ['b']);
    session.publish(TOPIC, changed('x'));
    await processed(client, session);
    assert.equal(reports.size, 0);
    const second = await nextSession(server, client, session);
    (await second.subscribed()).fail(404);
    assert.deepEqual(await reports.takeMany(2), [{ name: 'form', ...UNCERTAIN }, { name: 'row', ...UNCERTAIN }]);
    const third = await nextSession(server, client, second);
    (await third.subscribed()).fail(404);
    third.publish(TOPIC, changed('a'));
    assert.deepEqual(await reports.take(), report('form', 'a'));
  });
});

describe('content that was requested while the page was offline', () => {
  it('is certain even if the rest of the page is not', async (t) => {
    const { server, client, reports, tag, connect } = await page(t);
    tag('form', ['a']);
    const session = await connect();
    (await session.subscribed()).fail(404);
    assert.deepEqual(await session.messages.take(), [5, TOPIC]);
    const disconnected = inboxOf(client, 'disconnected');
    session.drop();
    await disconnected.take();
    tag('row', ['b', 'c']);
    client.connect();
    const second = await server.sessions.take();
    const call = await second.subscribed();
    assertAge(call, 0);
    call.answer('5', [event('5', 'b')]);
    assert.deepEqual(await reports.takeMany(2), [{ name: 'form', ...UNCERTAIN }, report('row', 'b')]);
    await processed(client, second);
    assert.equal(reports.size, 0);
  });
});

describe('content on a server that keeps no history', () => {
  it('is certain at first, and not certain after each gap', async (t) => {
    const { server, client, reports, tag, connect } = await page(t);
    tag('form', ['a']);
    const session = await connect();
    (await session.subscribed()).answer('0.0', [], false);
    session.publish(TOPIC, changed('x'), '0.0');
    await processed(client, session);
    assert.equal(reports.size, 0);
    const second = await nextSession(server, client, session);
    const call = await second.subscribed();
    assert.equal(call.options.since, '0.0');
    call.answer('0.0', [], false);
    assert.deepEqual(await reports.take(), { name: 'form', ...UNCERTAIN });
  });
});

describe('content whose request time is unknown', () => {
  it('is reported as not certain at once, and receives later changes', async (t) => {
    const { client, reports, tag, connect } = await page(t);
    tag('form', ['a'], { since: null });
    assert.deepEqual(await reports.take(), { name: 'form', ...UNCERTAIN });
    const session = await connect();
    const call = await session.subscribed();
    assert.deepEqual(call.options, { tags: ['a'] });
    call.answer('5', []);
    session.publish(TOPIC, changed('a'), '6');
    assert.deepEqual(await reports.take(), report('form', 'a'));
    await processed(client, session);
    assert.equal(reports.size, 0);
  });

  it('may turn out to be unknown when the session is open', async (t) => {
    const { reports, tag, connect } = await page(t);
    const called = [];
    for (const [name, moment] of [['unknown', null], ['known', { monotonic: performance.now() - 9_000, wall: Date.now() }]]) {
      tag(name, ['a'], { since: () => (called.push(name), moment) });
    }
    assert.deepEqual(called, []);
    const session = await connect();
    assertAge(await session.subscribed(), 9_000);
    assert.deepEqual(called, ['unknown', 'known']);
    assert.deepEqual(await reports.take(), { name: 'unknown', ...UNCERTAIN });
  });
});

describe('an application that is subscribed to the same topic', () => {
  it('receives all events, but not the answers about content', async (t) => {
    const server = await startServer(t);
    const { client, session } = await connectedClient(server, t);
    const heard = new Inbox('an event');
    client.subscribe(TOPIC, (payload) => heard.put(payload), { recover: true });
    (await session.subscribed()).answer('5');
    await processed(client, session);
    const reports = new Inbox('a report');
    new ContentTracker(client, { userName: 'anna' }).tagContent(['a'], (outdated) => reports.put(outdated));
    const call = await session.subscribed();
    assert.deepEqual(Object.keys(call.options), ['since']);
    call.answer('6', [event('6', 'a')]);
    session.publish(TOPIC, changed('b'), '7');
    assert.deepEqual(await heard.take(), changed('b'));
    assert.deepEqual((await reports.take()).tags, ['a']);
  });
});
