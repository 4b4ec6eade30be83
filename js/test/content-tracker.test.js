import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ContentTracker } from '../src/index.js';
import { connectedClient, processed } from './support/client.js';
import { Inbox } from './support/inbox.js';
import { startServer } from './support/server.js';

const TOPIC = 'oro/data/update';

/** A page of `userName` on a real session; `outdated` collects its reports. */
async function page(t, userName) {
  const server = await startServer(t);
  const { client, session } = await connectedClient(server, t);
  const tracker = new ContentTracker(client, { userName });
  const outdated = new Inbox('a report of outdated content');
  const tag = (...tags) => tracker.tagContent(tags, (report) => outdated.put(report));
  return { client, session, tracker, outdated, tag };
}

const change = (tagname, username) => ({ username, tagname });

describe('ContentTracker', () => {
  it('reports a tag that somebody else has published', async (t) => {
    const { session, outdated, tag } = await page(t, 'alice');
    tag('User_7', 'User_type_collection');
    session.publish(TOPIC, [change('User_8', 'bob'), change('User_7', 'bob')]);
    assert.deepEqual(await outdated.take(), { tags: ['User_7'], userNames: ['bob'], isCertain: true });
  });

  it('reports the tags of one message together', async (t) => {
    const { session, outdated, tag } = await page(t, 'alice');
    tag('a', 'b', 'c');
    session.publish(TOPIC, [change('a', 'bob'), change('b', null), change('a', 'bob')]);
    assert.deepEqual(await outdated.take(), { tags: ['a', 'b'], userNames: ['bob', null], isCertain: true });
  });

  it("ignores the user's own changes, even in a message with changes of others", async (t) => {
    const { session, outdated, tag } = await page(t, 'alice');
    tag('a', 'b');
    session.publish(TOPIC, [change('a', 'alice')]);
    session.publish(TOPIC, [change('a', 'alice'), change('b', 'bob')]);
    assert.deepEqual(await outdated.take(), { tags: ['b'], userNames: ['bob'], isCertain: true });
  });

  it('treats a change without a user as a change by somebody else, even if nobody is logged in', async (t) => {
    const { session, outdated, tag } = await page(t, null);
    tag('a', 'b', 'c');
    session.publish(TOPIC, [change('a', null), change('b', ''), { tagname: 'c' }]);
    assert.deepEqual(await outdated.take(), { tags: ['a', 'b', 'c'], userNames: [null], isCertain: true });
  });

  it('reports each tag once until the content is tagged again', async (t) => {
    const { session, outdated, tag } = await page(t, 'alice');
    const forget = tag('a', 'b');
    session.publish(TOPIC, [change('a', 'bob')]);
    session.publish(TOPIC, [change('a', 'carol')]);
    session.publish(TOPIC, [change('a', 'bob'), change('b', 'bob')]);
    assert.deepEqual(await outdated.takeMany(2), [
      { tags: ['a'], userNames: ['bob'], isCertain: true },
      { tags: ['b'], userNames: ['bob'], isCertain: true },
    ]);

    forget();
    tag('a', 'b');
    session.publish(TOPIC, [change('a', 'carol')]);
    assert.deepEqual(await outdated.take(), { tags: ['a'], userNames: ['carol'], isCertain: true });
  });

  it('reports to each content that has the tag', async (t) => {
    const { session, tracker } = await page(t, 'alice');
    const reports = new Inbox('a report');
    tracker.tagContent(['a'], () => reports.put('form'));
    tracker.tagContent(['a', 'b'], () => reports.put('grid'));
    tracker.tagContent(['c'], () => reports.put('other'));
    session.publish(TOPIC, [change('a', 'bob')]);
    session.publish(TOPIC, [change('c', 'bob')]);
    assert.deepEqual(await reports.takeMany(3), ['form', 'grid', 'other']);
  });

  it('reads an object instead of the list, as PHP encodes a list with gaps', async (t) => {
    const { session, outdated, tag } = await page(t, 'alice');
    tag('a', 'b');
    session.publish(TOPIC, { 0: change('a', 'bob'), 2: change('b', 'bob') });
    assert.deepEqual(await outdated.take(), { tags: ['a', 'b'], userNames: ['bob'], isCertain: true });
  });

  it('reads either of them as a JSON string, as OroPlatform sent it up to 2.6', async (t) => {
    const { session, outdated, tag } = await page(t, 'alice');
    tag('a', 'b');
    session.publish(TOPIC, JSON.stringify([change('a', 'bob')]));
    session.publish(TOPIC, JSON.stringify({ 1: change('b', 'bob') }));
    assert.deepEqual(await outdated.takeMany(2), [
      { tags: ['a'], userNames: ['bob'], isCertain: true },
      { tags: ['b'], userNames: ['bob'], isCertain: true },
    ]);
  });

  it('ignores what it cannot read', async (t) => {
    const logged = t.mock.method(console, 'error', () => {});
    const { session, outdated, tag } = await page(t, 'alice');
    tag('a', 'toString');
    for (const payload of [null, 5, true, 'not JSON', '"a"', '7', [], {}, [null, 7, 'a', ['a'], { tagname: 7 }, { username: 'bob' }]]) {
      session.publish(TOPIC, payload);
    }
    session.publish(TOPIC, [null, change('a', { not: 'a name' })]);
    assert.deepEqual(await outdated.take(), { tags: ['a'], userNames: [null], isCertain: true });
    assert.equal(logged.mock.callCount(), 1);
  });

  it('calls the other callbacks when one throws', async (t) => {
    const logged = t.mock.method(console, 'error', () => {});
    const { session, tracker, outdated, tag } = await page(t, 'alice');
    tracker.tagContent(['a'], () => {
      throw new Error('mine');
    });
    tag('a');
    session.publish(TOPIC, [change('a', 'bob')]);
    await outdated.take();
    assert.equal(logged.mock.callCount(), 1);
  });

  it('reports a message neither to content that a callback has forgotten nor to content that it has tagged', async (t) => {
    const { session, tracker } = await page(t, 'alice');
    const reports = new Inbox('a report');
    let forgetSecond = () => {};
    const forgetFirst = tracker.tagContent(['a'], () => {
      reports.put('first');
      forgetFirst();
      forgetSecond();
      tracker.tagContent(['a'], () => reports.put('tagged again'));
    });
    forgetSecond = tracker.tagContent(['a'], () => reports.put('second'));
    tracker.tagContent(['mark'], () => reports.put('mark'));
    session.publish(TOPIC, [change('a', 'bob')]);
    session.publish(TOPIC, [change('mark', 'bob')]);
    session.publish(TOPIC, [change('a', 'bob')]);
    assert.deepEqual(await reports.takeMany(3), ['first', 'mark', 'tagged again']);
  });

  it('is subscribed only while something is tagged', async (t) => {
    const { client, session, tracker, tag } = await page(t, 'alice');
    const forgetFirst = tag('a');
    const forgetSecond = tag('b');
    const call = await session.subscribed();
    assert.equal(call.topic, TOPIC);
    call.answer('5');
    await processed(client, session);
    forgetFirst();
    forgetSecond();
    forgetSecond();
    assert.deepEqual(await session.messages.take(), [6, TOPIC]);

    tag('c');
    (await session.subscribed()).answer('5');
    await processed(client, session);
    tracker.close();
    tracker.close();
    client.subscribe('end', () => {});
    assert.deepEqual((await session.messages.takeMany(2)).sort(), [[5, 'end'], [6, TOPIC]]);
  });

  it('rejects wrong arguments with an explanation', async (t) => {
    const { tracker } = await page(t, 'alice');
    assert.throws(() => tracker.tagContent('User_7', () => {}), /a list of tags, not the string "User_7"/);
    assert.throws(() => tracker.tagContent(['User_7']), /needs a function/);
    assert.throws(() => tracker.tagContent(['User_7'], () => {}, { since: '5' }), /since = 5 is not a value of performance.now\(\)/);
    assert.throws(() => tracker.tagContent(['User_7'], () => {}, { since: NaN }), /since = NaN is not a value/);
  });
});
