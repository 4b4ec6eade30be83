import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CallError } from '../src/index.js';
import { clientOf, connectedClient, inboxOf, subscribed } from './support/client.js';
import { startServer } from './support/server.js';

describe('subscriptions', () => {
  it('of one topic share one SUBSCRIBE, and each callback receives each payload', async (t) => {
    const server = await startServer(t);
    const { client, session } = await connectedClient(server, t);
    const first = subscribed(client, 'a');
    const second = subscribed(client, 'a');
    client.subscribe('b', () => {});
    assert.deepEqual(await session.messages.takeMany(2), [[5, 'a'], [5, 'b']]);

    session.publish('a', { n: 1 });
    assert.deepEqual(await first.take(), { n: 1 });
    assert.deepEqual(await second.take(), { n: 1 });
  });

  it('end with the last callback', async (t) => {
    const server = await startServer(t);
    const { client, session } = await connectedClient(server, t);
    const stopFirst = client.subscribe('a', () => {});
    const stopSecond = client.subscribe('a', () => {});
    stopFirst();
    client.subscribe('b', () => {});
    stopSecond();
    stopSecond();
    client.subscribe('c', () => {});
    assert.deepEqual(await session.messages.takeMany(4), [[5, 'a'], [5, 'b'], [6, 'a'], [5, 'c']]);
  });

  it('are not ended by the unsubscribe function of an earlier one', async (t) => {
    const server = await startServer(t);
    const { client, session } = await connectedClient(server, t);
    const stopEarlier = client.subscribe('a', () => {});
    stopEarlier();
    const events = subscribed(client, 'a');
    stopEarlier();
    session.publish('a', 'still here');
    assert.equal(await events.take(), 'still here');
  });

  it('are restored after a reconnect if they were not ended', async (t) => {
    const server = await startServer(t);
    const client = clientOf(server, t);
    const events = subscribed(client, 'a');
    const stop = client.subscribe('b', () => {});
    client.subscribe('c', () => {});
    client.connect();
    const session = await server.sessions.take();
    assert.deepEqual(await session.messages.takeMany(3), [[5, 'a'], [5, 'b'], [5, 'c']]);

    const disconnected = inboxOf(client, 'disconnected');
    session.drop();
    await disconnected.take();
    stop();
    client.connect();
    const next = await server.sessions.take();
    assert.deepEqual(await next.messages.takeMany(2), [[5, 'a'], [5, 'c']]);
    next.publish('a', 'again');
    assert.equal(await events.take(), 'again');
  });

  it('are sent before the application receives connected', async (t) => {
    const server = await startServer(t);
    const client = clientOf(server, t);
    client.subscribe('a', () => {});
    client.on('connected', () => client.publish('b', 'hello'));
    client.connect();
    const session = await server.sessions.take();
    assert.deepEqual(await session.messages.takeMany(2), [[5, 'a'], [7, 'b', 'hello']]);
  });

  it('are sent as soon as the server reads again', async (t) => {
    const server = await startServer(t);
    const { client, session } = await connectedClient(server, t);
    client.subscribe('given up', () => {})();
    const stop = client.subscribe('ended', () => {});
    await session.messages.takeMany(3);
    session.webSocket.pause();
    let accepted = 0;
    while (client.publish('a', 'x'.repeat(256 * 1024))) {
      accepted += 1;
      await new Promise(setImmediate);
    }
    const events = subscribed(client, 'b');
    client.subscribe('unwanted by then', () => {})();
    stop();
    session.webSocket.resume();
    await session.messages.takeMany(accepted);
    assert.deepEqual(await session.messages.takeMany(2), [[5, 'b'], [6, 'ended']]);
    session.publish('b', 'heard');
    assert.equal(await events.take(), 'heard');
  });

  it('that are refused are reported, and the others continue', async (t) => {
    const server = await startServer(t);
    const { client, session } = await connectedClient(server, t);
    const refused = inboxOf(client, 'refused');
    const allowed = subscribed(client, 'allowed');
    client.subscribe('secret', () => {});
    session.send([4, 'secret', 'secret', 'not allowed', { policy: 'owner' }]);
    assert.deepEqual(await refused.take(), { topic: 'secret', reason: 'not allowed' });
    session.publish('allowed', 1);
    assert.equal(await allowed.take(), 1);

    const disconnected = inboxOf(client, 'disconnected');
    session.drop();
    await disconnected.take();
    client.connect();
    const next = await server.sessions.take();
    assert.deepEqual(await next.messages.takeMany(2), [[5, 'allowed'], [5, 'secret']]);
  });

  for (const topic of ['toString', 'constructor', '__proto__', 'hasOwnProperty', '1', 'a b/ü"\\']) {
    it(`may be to a topic called ${topic}`, async (t) => {
      const server = await startServer(t);
      const { client, session } = await connectedClient(server, t);
      const refused = inboxOf(client, 'refused');
      session.publish(topic, 'to nobody');
      session.send([3, topic, 'an answer to nobody']);
      session.send([4, topic, 'procedure', 'an error to nobody']);
      session.send([4, 'mark', 'mark', 'behind them']);
      assert.deepEqual(await refused.take(), { topic: 'mark', reason: 'behind them' });
      const events = subscribed(client, topic);
      assert.deepEqual(await session.messages.take(), [5, topic]);
      session.publish(topic, 'x');
      assert.equal(await events.take(), 'x');
      session.send([4, topic, topic, 'no']);
      assert.deepEqual(await refused.take(), { topic, reason: 'no' });
    });
  }

  for (const topic of ['', undefined, null, 5]) {
    it(`to ${JSON.stringify(topic)} are rejected`, async (t) => {
      const client = clientOf(await startServer(t), t);
      assert.throws(() => client.subscribe(topic, () => {}), TypeError);
      assert.throws(() => client.publish(topic, 1), TypeError);
    });
  }

  it('without a function are rejected and not sent', async (t) => {
    const server = await startServer(t);
    const { client, session } = await connectedClient(server, t);
    assert.throws(() => client.subscribe('a', undefined), /must be a function, not undefined/);
    client.subscribe('b', () => {});
    assert.deepEqual(await session.messages.take(), [5, 'b']);
  });

  it('of the same topic receive the event even if one callback throws', async (t) => {
    const server = await startServer(t);
    const logged = t.mock.method(console, 'error', () => {});
    const { client, session } = await connectedClient(server, t);
    client.subscribe('a', () => {
      throw new Error('mine');
    });
    const events = subscribed(client, 'a');
    session.publish('a', 1);
    session.publish('a', 2);
    assert.deepEqual(await events.takeMany(2), [1, 2]);
    assert.deepEqual(logged.mock.calls.map(({ arguments: [error] }) => error.message), ['mine', 'mine']);
  });

  it('that another callback ends are not called any more', async (t) => {
    const server = await startServer(t);
    const { client, session } = await connectedClient(server, t);
    const stops = [];
    const called = [];
    client.subscribe('a', () => {
      called.push('first');
      stops.forEach((stop) => stop());
      client.subscribe('a', () => called.push('added meanwhile'));
    });
    stops.push(client.subscribe('a', () => called.push('second')));
    const last = subscribed(client, 'a');
    session.publish('a', 1);
    await last.take();
    assert.deepEqual(called, ['first']);
  });
});

describe('an invalid message of the server', () => {
  it('is reported, and the session continues', async (t) => {
    const server = await startServer(t);
    const logged = t.mock.method(console, 'error', () => {});
    const { client, session } = await connectedClient(server, t);
    const events = subscribed(client, 'a');
    session.webSocket.send('You are not allowed to subscribe on topic "T".');
    session.webSocket.send(Buffer.from([1, 2, 3]));
    session.send([0, 'a second welcome', 1, 'test']);
    session.publish('a', 'after it');
    assert.equal(await events.take(), 'after it');
    assert.equal(client.sessionId, session.id);
    assert.deepEqual(logged.mock.calls.map(({ arguments: [error] }) => error.name), ['WampError', 'WampError']);
  });

  it('has no effect before WELCOME', async (t) => {
    const server = await startServer(t);
    server.greets = false;
    const client = clientOf(server, t);
    const events = subscribed(client, 'a');
    const connected = inboxOf(client, 'connected');
    client.connect();
    const session = await server.sessions.take();
    session.publish('a', 'too early');
    session.send([0, 'id', 1, 'test']);
    session.publish('a', 'in time');
    await connected.take();
    assert.equal(await events.take(), 'in time');
  });
});

describe('publish', () => {
  it('sends the message and returns true', async (t) => {
    const server = await startServer(t);
    const { client, session } = await connectedClient(server, t);
    assert.equal(client.publish('a', [1, 'x'], { exclude: ['s1'], eligible: ['s2'] }), true);
    assert.deepEqual(await session.messages.take(), [7, 'a', [1, 'x'], ['s1'], ['s2']]);
  });

  it('returns false without a connection, and sends nothing later', async (t) => {
    const server = await startServer(t);
    const client = clientOf(server, t);
    assert.equal(client.publish('a', 'lost'), false);
    client.connect();
    const connected = inboxOf(client, 'connected');
    await connected.take();
    client.publish('a', 'sent');
    const session = await server.sessions.take();
    assert.deepEqual(await session.messages.take(), [7, 'a', 'sent']);
  });

  it('returns false while the send buffer is full, and true once the server reads', async (t) => {
    const server = await startServer(t);
    const { client, session } = await connectedClient(server, t);
    const payload = 'x'.repeat(256 * 1024);
    session.webSocket.pause();
    let accepted = 0;
    while (client.publish('a', payload)) {
      accepted += 1;
      assert.ok(accepted < 1_000, 'nothing bounds what waits to be sent');
      await new Promise(setImmediate);
    }
    session.webSocket.resume();
    await session.messages.takeMany(accepted);
    assert.equal(client.publish('a', 'after it'), true);
    assert.deepEqual(await session.messages.take(), [7, 'a', 'after it']);
  });

  it('that is refused is reported', async (t) => {
    const server = await startServer(t);
    const { client, session } = await connectedClient(server, t);
    const refused = inboxOf(client, 'refused');
    client.publish('a', 1);
    session.send([4, 'a', 'a', 'nobody may publish here']);
    assert.deepEqual(await refused.take(), { topic: 'a', reason: 'nobody may publish here' });
  });
});

describe('call', () => {
  it('resolves each call with its own result', async (t) => {
    const server = await startServer(t);
    const { client, session } = await connectedClient(server, t);
    const results = Promise.all([client.call('first', 1, { a: 2 }), client.call('second')]);
    const [[, firstId, ...first], [, secondId, ...second]] = await session.messages.takeMany(2);
    assert.deepEqual([first, second], [['first', 1, { a: 2 }], ['second']]);
    session.send([3, secondId, 'two']);
    session.send([3, firstId, 'one']);
    assert.deepEqual(await results, ['one', 'two']);
  });

  it("rejects with the server's error", async (t) => {
    const server = await startServer(t);
    const { client, session } = await connectedClient(server, t);
    const failed = rejection(client.call('presence'));
    const [, callId] = await session.messages.take();
    session.send([4, callId, 'presence', 'no such procedure', { code: 404 }]);
    const error = await failed;
    assert.ok(error instanceof CallError);
    assert.equal(error.code, 'OROSYNC_CALL_FAILED');
    assert.equal(error.uri, 'presence');
    assert.deepEqual(error.details, { code: 404 });
    assert.equal(error.message, '"presence" failed: no such procedure');
  });

  it('rejects at once without a connection', async (t) => {
    const client = clientOf(await startServer(t), t);
    assert.equal((await rejection(client.call('presence'))).code, 'OROSYNC_NOT_CONNECTED');
  });

  it('rejects when the connection ends before the answer', async (t) => {
    const server = await startServer(t);
    const { client, session } = await connectedClient(server, t);
    const lost = rejection(client.call('presence'));
    await session.messages.take();
    session.drop();
    assert.equal((await lost).code, 'OROSYNC_CONNECTION_LOST');
  });

  it('rejects when the client is closed before the answer', async (t) => {
    const server = await startServer(t);
    const { client } = await connectedClient(server, t);
    const lost = rejection(client.call('presence'));
    client.close();
    assert.equal((await lost).code, 'OROSYNC_CONNECTION_LOST');
  });

  it('rejects after its time limit, and ignores a later answer', async (t) => {
    const server = await startServer(t);
    const { client, session } = await connectedClient(server, t, { callTimeoutMs: 20 });
    const refused = inboxOf(client, 'refused');
    const late = rejection(client.call('presence'));
    const [, callId] = await session.messages.take();
    const error = await late;
    assert.equal(error.code, 'OROSYNC_CALL_TIMEOUT');
    assert.equal(error.message, '"presence" was not answered within 20 ms');

    session.send([3, callId, 'late']);
    session.send([4, callId, 'presence', 'later still']);
    session.send([4, 'a', 'a', 'the mark behind them']);
    assert.equal((await refused.take()).topic, 'a');
  });

  it('rejects when too many calls are pending', async (t) => {
    const server = await startServer(t);
    const { client } = await connectedClient(server, t);
    const waiting = Array.from({ length: 1_000 }, () => rejection(client.call('slow')));
    assert.equal((await rejection(client.call('one more'))).code, 'OROSYNC_TOO_MANY_CALLS');
    client.close();
    const codes = new Set((await Promise.all(waiting)).map(({ code }) => code));
    assert.deepEqual([...codes], ['OROSYNC_CONNECTION_LOST']);
  });

  it('is possible again when earlier calls were lost or timed out', async (t) => {
    const server = await startServer(t);
    const { client } = await connectedClient(server, t, { callTimeoutMs: 20 });
    const connected = inboxOf(client, 'connected');
    const callAll = () => Array.from({ length: 1_000 }, () => rejection(client.call('slow')));
    const lost = callAll();
    client.close();
    await Promise.all(lost);
    client.connect();
    await connected.take();
    await Promise.all(callAll());
    assert.equal((await rejection(client.call('one more'))).code, 'OROSYNC_CALL_TIMEOUT');
  });
});

/** The error that a promise rejects with. */
const rejection = (promise) => promise.then(() => assert.fail('it should have been rejected'), (error) => error);
