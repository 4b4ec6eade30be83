import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { connectedClient, clientOf, inboxOf, nextSession, processed, subscribed } from './support/client.js';
import { answerJson, startServer } from './support/server.js';

const RECOVER = { recover: true };

/** A client that recovers the topic "a" and has reached position "5". */
async function recoveringClient(t) {
  const server = await startServer(t);
  const { client, session } = await connectedClient(server, t);
  const incomplete = inboxOf(client, 'incomplete');
  const events = subscribed(client, 'a', RECOVER);
  (await session.subscribed()).answer('5');
  return { server, client, session, events, incomplete };
}

describe('a topic with recovery', () => {
  it('is subscribed by a call without earlier events, other topics by SUBSCRIBE', async (t) => {
    const server = await startServer(t);
    const { client, session } = await connectedClient(server, t);
    const events = subscribed(client, 'a', RECOVER);
    subscribed(client, 'b');
    const call = await session.subscribed();
    assert.deepEqual([call.topic, call.options], ['a', undefined]);
    assert.deepEqual(await session.messages.take(), [5, 'b']);
    call.answer('5');
    session.publish('a', 'new', '6');
    assert.equal(await events.take(), 'new');
  });

  it('delivers missed events once and in order, before new ones', async (t) => {
    const { server, client, session, events, incomplete } = await recoveringClient(t);
    session.publish('a', 6, '6');
    assert.equal(await events.take(), 6);
    const second = await nextSession(server, client, session);
    const call = await second.subscribed();
    assert.deepEqual(call.options, { since: '6' });
    call.answer('8', [['7', 7], ['8', 8]]);
    second.publish('a', 9, '9');
    assert.deepEqual(await events.takeMany(3), [7, 8, 9]);

    // Two reconnects in a row: the second one repeats nothing.
    const third = await nextSession(server, client, second);
    const next = await third.subscribed();
    assert.deepEqual(next.options, { since: '9' });
    next.answer('9');
    third.publish('a', 10, '10');
    assert.equal(await events.take(), 10);
    assert.equal(incomplete.size, 0);
  });

  it('adopts the position of an answer without events', async (t) => {
    const { server, client, session } = await recoveringClient(t);
    const second = await nextSession(server, client, session);
    (await second.subscribed()).answer('9.tag');
    const third = await nextSession(server, client, second);
    assert.deepEqual((await third.subscribed()).options, { since: '9.tag' });
  });

  it('emits incomplete after the events that are left', async (t) => {
    const { server, client, session } = await recoveringClient(t);
    const received = [];
    client.subscribe('a', (payload) => received.push(payload));
    client.on('incomplete', (detail) => received.push(detail));
    const incomplete = inboxOf(client, 'incomplete');
    const second = await nextSession(server, client, session);
    (await second.subscribed()).answer('11', [['10', 10], ['11', 11]], false);
    await incomplete.take();
    assert.deepEqual(received, [10, 11, { topic: 'a' }]);

    // Only once: later answers are complete again.
    const third = await nextSession(server, client, second);
    const call = await third.subscribed();
    assert.deepEqual(call.options, { since: '11' });
    call.answer('12', [['12', 12]]);
    third.publish('a', 13, '13');
    await processed(client, third);
    assert.equal(incomplete.size, 0);
  });

  it('emits incomplete after an unreadable answer', async (t) => {
    for (const result of [null, {}, 'text', { position: 7, complete: true, events: [] }, { position: '7', complete: true, events: ['x'] }]) {
      const { server, client, session, incomplete } = await recoveringClient(t);
      const second = await nextSession(server, client, session);
      (await second.called('orosync/subscribe')).answer(result);
      assert.deepEqual(await incomplete.take(), { topic: 'a' });
    }
  });

  it('is requested from the same position when the connection ended before the answer', async (t) => {
    const { server, client, session, events, incomplete } = await recoveringClient(t);
    const second = await nextSession(server, client, session);
    assert.deepEqual((await second.subscribed()).options, { since: '5' });
    const third = await nextSession(server, client, second);
    const call = await third.subscribed();
    assert.deepEqual(call.options, { since: '5' });
    call.answer('6', [['6', 6]]);
    assert.equal(await events.take(), 6);
    assert.equal(incomplete.size, 0);
  });

  it('waits for its answer without a time limit', async (t) => {
    const server = await startServer(t);
    const { client, session } = await connectedClient(server, t, { callTimeoutMs: 20 });
    const events = subscribed(client, 'a', RECOVER);
    (await session.subscribed()).answer('5');
    const second = await nextSession(server, client, session);
    const call = await second.subscribed();
    await assert.rejects(client.call('slow'));
    call.answer('6', [['6', 6]]);
    assert.equal(await events.take(), 6);
  });

  it('is requested again when the server cannot answer at the moment', async (t) => {
    const server = await startServer(t);
    const { client, session } = await connectedClient(server, t, { random: () => 0 });
    const incomplete = inboxOf(client, 'incomplete');
    const events = subscribed(client, 'a', RECOVER);
    (await session.subscribed()).answer('5');
    const second = await nextSession(server, client, session);
    for (const fails of [true, true, false]) {
      const call = await second.subscribed();
      assert.deepEqual(call.options, { since: '5' });
      if (fails) {
        call.fail(503);
      } else {
        call.answer('6', [['6', 6]]);
      }
    }
    assert.equal(await events.take(), 6);
    assert.equal(incomplete.size, 0);
  });

  it('delivers missed events to existing callbacks, and only new events to a new one', async (t) => {
    const { server, client, session, events } = await recoveringClient(t);
    const plain = subscribed(client, 'a');
    await processed(client, session);
    const disconnected = inboxOf(client, 'disconnected');
    session.drop();
    await disconnected.take();
    const late = subscribed(client, 'a', RECOVER);
    client.connect();
    const second = await server.sessions.take();
    const call = await second.subscribed();
    const later = subscribed(client, 'a');
    call.answer('6', [['6', 6]]);
    second.publish('a', 7, '7');
    assert.deepEqual(await events.takeMany(2), [6, 7]);
    assert.deepEqual(await plain.takeMany(2), [6, 7]);
    assert.equal(await late.take(), 7);
    assert.equal(await later.take(), 7);
    assert.equal(second.messages.size, 0);
  });

  it('may be a topic without recovery before and after', async (t) => {
    const server = await startServer(t);
    const { client, session } = await connectedClient(server, t);
    const incomplete = inboxOf(client, 'incomplete');
    const plain = subscribed(client, 'a');
    assert.deepEqual(await session.messages.take(), [5, 'a']);
    const stop = client.subscribe('a', () => {}, RECOVER);
    const call = await session.subscribed();
    assert.equal(call.options, undefined);
    session.publish('a', 'before the answer');
    call.answer('5');
    session.publish('a', 'after it', '6');
    assert.deepEqual(await plain.takeMany(2), ['before the answer', 'after it']);
    stop();
    const second = await nextSession(server, client, session);
    assert.deepEqual(await second.messages.take(), [5, 'a']);
    client.subscribe('a', () => {}, RECOVER);
    assert.equal((await second.subscribed()).options, undefined);
    assert.equal(incomplete.size, 0);

    // That call was not answered, so the position at the end of the session is unknown.
    const third = await nextSession(server, client, second);
    const next = await third.subscribed();
    assert.equal(next.options, undefined);
    next.answer('9');
    assert.deepEqual(await incomplete.take(), { topic: 'a' });
  });

  it('ends with UNSUBSCRIBE after its call was answered', async (t) => {
    const server = await startServer(t);
    const { client, session } = await connectedClient(server, t);
    const stop = client.subscribe('a', () => {}, RECOVER);
    const call = await session.subscribed();
    stop();
    subscribed(client, 'b');
    assert.deepEqual(await session.messages.take(), [5, 'b']);
    call.answer('5');
    assert.deepEqual(await session.messages.take(), [6, 'a']);

    // A new subscription: no position is kept.
    subscribed(client, 'a', RECOVER);
    assert.equal((await session.subscribed()).options, undefined);
  });

  it('is kept if a callback subscribes before UNSUBSCRIBE was sent, and recovers from its position', async (t) => {
    const server = await startServer(t);
    const { client, session } = await connectedClient(server, t);
    const stop = client.subscribe('a', () => assert.fail('it was taken out'), RECOVER);
    const call = await session.subscribed();
    stop();
    const events = subscribed(client, 'a', RECOVER);
    call.answer('5');
    session.publish('a', 6, '6');
    assert.equal(await events.take(), 6);
    const second = await nextSession(server, client, session);
    assert.deepEqual((await second.subscribed()).options, { since: '6' });
    assert.equal(session.messages.size, 0);
  });

  it('without callbacks is forgotten at the end of the session', async (t) => {
    const server = await startServer(t);
    const { client, session } = await connectedClient(server, t);
    const stop = client.subscribe('a', () => {}, RECOVER);
    await session.subscribed();
    stop();
    const second = await nextSession(server, client, session);
    subscribed(client, 'b');
    assert.deepEqual(await second.messages.take(), [5, 'b']);
  });

  it('survives a callback that throws, or that closes the client during recovery', async (t) => {
    const logged = t.mock.method(console, 'error', () => {});
    const { server, client, session, events } = await recoveringClient(t);
    client.subscribe('a', (payload) => {
      if (payload === 6) {
        client.close();
        throw new Error('mine');
      }
    });
    const second = await nextSession(server, client, session);
    (await second.subscribed()).answer('7', [['6', 6], ['7', 7]]);
    assert.deepEqual(await events.takeMany(2), [6, 7]);
    client.connect();
    const third = await server.sessions.take();
    assert.deepEqual((await third.subscribed()).options, { since: '7' });
    assert.equal(logged.mock.callCount(), 1);
  });
});

describe('a callback with since', () => {
  it('receives the events since then first, then new ones', async (t) => {
    const server = await startServer(t);
    const client = clientOf(server, t);
    const incomplete = inboxOf(client, 'incomplete');
    const events = subscribed(client, 'a', { recover: true, since: performance.now() - 3_000 });
    client.connect();
    const session = await server.sessions.take();
    const call = await session.subscribed();
    assert.ok(call.options.since.milliseconds >= 3_000 && call.options.since.milliseconds < 8_000);
    call.answer('6', [['5', 5], ['6', 6]]);
    session.publish('a', 7, '7');
    assert.deepEqual(await events.takeMany(3), [5, 6, 7]);
    const second = await nextSession(server, client, session);
    assert.deepEqual((await second.subscribed()).options, { since: '7' });
    assert.equal(incomplete.size, 0);
  });

  it('receives nothing twice when the topic was already subscribed', async (t) => {
    const { server, client, session, events } = await recoveringClient(t);
    const since = performance.now();
    const late = subscribed(client, 'a', { recover: true, since });
    await session.subscribed();
    session.publish('a', 6, '6');
    assert.equal(await events.take(), 6);

    // That call was not answered, so it is repeated after the recovery by position.
    const second = await nextSession(server, client, session);
    const byPosition = await second.subscribed();
    assert.deepEqual(byPosition.options, { since: '6' });
    byPosition.answer('7', [['7', 7]]);
    const byTime = await second.subscribed();
    assert.ok('milliseconds' in byTime.options.since);
    byTime.answer('7', [['6', 6], ['7', 7]]);
    second.publish('a', 8, '8');
    assert.deepEqual(await late.takeMany(3), [6, 7, 8]);
    assert.deepEqual(await events.takeMany(2), [7, 8]);
  });

  it('is followed by incomplete after the events that are left, also without any history', async (t) => {
    const server = await startServer(t);
    const { client, session } = await connectedClient(server, t);
    const received = [];
    client.on('incomplete', (detail) => received.push(detail));
    client.subscribe('a', (payload) => received.push(payload), { recover: true, since: 0 });
    (await session.subscribed()).answer('6', [['6', 6]], false);
    client.subscribe('b', (payload) => received.push(payload), { recover: true, since: 0 });
    (await session.subscribed()).fail(404);
    assert.deepEqual(await session.messages.take(), [5, 'b']);
    session.publish('b', 'new');
    client.subscribe('b', () => {}, { recover: true, since: 0 });
    await processed(client, session);
    assert.deepEqual(received, [6, { topic: 'a' }, { topic: 'b' }, { topic: 'b' }, 'new']);
  });

  it('receives nothing after it was unsubscribed, even if its request is pending', async (t) => {
    const server = await startServer(t);
    const { client, session } = await connectedClient(server, t);
    const incomplete = inboxOf(client, 'incomplete');
    const stop = client.subscribe('a', () => assert.fail('it was taken out'), { recover: true, since: 0 });
    const call = await session.subscribed();
    stop();
    call.answer('6', [['6', 6]], false);
    await processed(client, session);

    const given = [];
    const stopAtFirst = client.subscribe('b', (payload) => {
      given.push(payload);
      stopAtFirst();
    }, { recover: true, since: 0 });
    await session.messages.takeUntil(([type]) => type === 6);
    (await session.subscribed()).answer('7', [['6', 6], ['7', 7]], false);
    await processed(client, session);
    assert.deepEqual(given, [6]);
    assert.equal(incomplete.size, 0);
  });

  it('is followed by incomplete when the topic has no history', async (t) => {
    const server = await startServer(t);
    const { client, session } = await connectedClient(server, t);
    const incomplete = inboxOf(client, 'incomplete');
    const events = subscribed(client, 'a', { recover: true, since: 0 });
    (await session.subscribed()).answer('0.0', [], false);
    assert.deepEqual(await incomplete.take(), { topic: 'a' });
    session.publish('a', 'new', '0.0');
    assert.equal(await events.take(), 'new');
  });

  it('allows closing the connection in a handler of incomplete', async (t) => {
    const server = await startServer(t);
    const { client, session } = await connectedClient(server, t);
    subscribed(client, 'a');
    subscribed(client, 'b', RECOVER);
    assert.deepEqual(await session.messages.take(), [5, 'a']);
    (await session.subscribed()).fail(404);
    assert.deepEqual(await session.messages.take(), [5, 'b']);
    const received = [];
    client.on('incomplete', (detail) => {
      received.push(detail);
      client.close();
    });
    client.subscribe('a', () => {}, { recover: true, since: 0 });
    assert.deepEqual(received, [{ topic: 'a' }]);
    assert.equal(client.state, 'closed');
  });

  it('requires recover and a number', async (t) => {
    const client = clientOf(await startServer(t), t);
    for (const options of [{ since: 5 }, { recover: true, since: '5' }, { recover: true, since: NaN }]) {
      assert.throws(() => client.subscribe('a', () => {}, options), /since needs recover: true and a value of performance.now/);
    }
  });
});

describe('a refused topic with recovery', () => {
  it('is reported like any other, and recovers from its position in the next session', async (t) => {
    const { server, client, session, events } = await recoveringClient(t);
    const refused = inboxOf(client, 'refused');
    const second = await nextSession(server, client, session);
    (await second.subscribed()).refuse('not allowed');
    assert.deepEqual(await refused.take(), { topic: 'a', reason: 'not allowed' });
    subscribed(client, 'a');
    subscribed(client, 'b');
    assert.deepEqual(await second.messages.take(), [5, 'b']);
    const third = await nextSession(server, client, second);
    const call = await third.subscribed();
    assert.deepEqual(call.options, { since: '5' });
    call.answer('6', [['6', 6]]);
    assert.equal(await events.take(), 6);
  });

  it('needs another ticket when tickets depend on topics', async (t) => {
    const server = await startServer(t);
    const bodies = [];
    server.answerTicket = (request, response) => {
      let body = '';
      request.on('data', (chunk) => (body += chunk));
      request.on('end', () => {
        bodies.push(body);
        answerJson(response, { ticket: `ticket-${bodies.length}`, dependsOnTopics: true });
      });
    };
    const { client, session } = await connectedClient(server, t);
    const refused = inboxOf(client, 'refused');
    const events = subscribed(client, 'acme/order/7', RECOVER);
    (await session.subscribed()).refuse('not allowed');
    const second = await server.sessions.take();
    assert.deepEqual(bodies, ['', '{"topics":["acme/order/7"]}']);
    (await second.subscribed()).answer('1');
    second.publish('acme/order/7', 'heard', '2');
    assert.equal(await events.take(), 'heard');
    assert.equal(refused.size, 0);
  });

  it('emits no incomplete for the new ticket when no history is kept', async (t) => {
    const server = await startServer(t);
    server.answerTicket = (request, response) => answerJson(response, { ticket: 'ticket', dependsOnTopics: true });
    const { client, session } = await connectedClient(server, t);
    const incomplete = inboxOf(client, 'incomplete');
    subscribed(client, 'a', RECOVER);
    (await session.subscribed()).answer('0.0', []);
    subscribed(client, 'acme/order/7');
    await session.messages.take();
    session.send([4, 'acme/order/7', 'acme/order/7', 'not allowed', { code: 401 }]);
    const second = await server.sessions.take();
    (await second.subscribed()).answer('0.0', [], false);
    await second.messages.take();
    await processed(client, second);
    assert.equal(incomplete.size, 0);
    const third = await nextSession(server, client, second);
    (await third.subscribed()).answer('0.0', [], false);
    assert.deepEqual(await incomplete.take(), { topic: 'a' });
  });
});

describe('a server without recovery', () => {
  it('is recognised by an error without a code, as another product sends it', async (t) => {
    const server = await startServer(t);
    const { client, session } = await connectedClient(server, t);
    subscribed(client, 'a', RECOVER);
    (await session.subscribed()).fail();
    assert.deepEqual(await session.messages.take(), [5, 'a']);
    subscribed(client, 'b', RECOVER);
    assert.deepEqual(await session.messages.take(), [5, 'b']);
  });

  it('receives SUBSCRIBE, and every gap is incomplete', async (t) => {
    const server = await startServer(t);
    const client = clientOf(server, t);
    const incomplete = inboxOf(client, 'incomplete');
    const events = subscribed(client, 'a', RECOVER);
    client.connect();
    const session = await server.sessions.take();
    (await session.subscribed()).fail(404);
    assert.deepEqual(await session.messages.take(), [5, 'a']);
    session.publish('a', 1);
    assert.equal(await events.take(), 1);
    subscribed(client, 'b', RECOVER);
    assert.deepEqual(await session.messages.take(), [5, 'b']);
    assert.equal(incomplete.size, 0);

    const second = await nextSession(server, client, session);
    (await second.subscribed()).fail(404);
    (await second.subscribed()).fail(404);
    assert.deepEqual(await second.messages.takeMany(2), [[5, 'a'], [5, 'b']]);
    assert.deepEqual(await incomplete.takeMany(2), [{ topic: 'a' }, { topic: 'b' }]);
    second.publish('a', 2);
    assert.equal(await events.take(), 2);

    // The next server knows the call, but has no earlier events.
    const third = await nextSession(server, client, second);
    const call = await third.subscribed();
    assert.equal(call.options, undefined);
    call.answer('1');
    assert.deepEqual(await incomplete.take(), { topic: 'a' });
  });

  it('keeps the SUBSCRIBE subscription when a callback with recovery is added later', async (t) => {
    const server = await startServer(t);
    const { client, session } = await connectedClient(server, t);
    const incomplete = inboxOf(client, 'incomplete');
    const events = subscribed(client, 'a');
    await session.messages.take();
    subscribed(client, 'a', RECOVER);
    (await session.subscribed()).fail(404);
    session.publish('a', 1);
    assert.equal(await events.take(), 1);
    subscribed(client, 'b');
    assert.deepEqual(await session.messages.take(), [5, 'b']);
    assert.equal(incomplete.size, 0);
  });

  it('that fails the call for one topic still answers it for others', async (t) => {
    const { server, client, session, incomplete } = await recoveringClient(t);
    const second = await nextSession(server, client, session);
    (await second.subscribed()).fail(400);
    assert.deepEqual(await second.messages.take(), [5, 'a']);
    assert.deepEqual(await incomplete.take(), { topic: 'a' });
    subscribed(client, 'b', RECOVER);
    assert.equal((await second.subscribed()).topic, 'b');
  });
});
