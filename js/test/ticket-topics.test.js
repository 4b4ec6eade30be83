import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { clientOf, connectedClient, inboxOf, subscribed } from './support/client.js';
import { answerJson, startServer } from './support/server.js';

/** A server whose ticket endpoint records the requests and grants their topics, as the bundle's does with voters. */
async function startVotingServer(t, more = { dependsOnTopics: true }) {
  const server = await startServer(t);
  const bodies = [];
  server.answerTicket = (request, response) => {
    let body = '';
    request.on('data', (chunk) => (body += chunk));
    request.on('end', () => {
      bodies.push(body);
      answerJson(response, { ticket: `ticket-${bodies.length}`, ...more });
    });
  };
  return { server, bodies };
}

const refusal = (topic) => [4, topic, topic, 'not allowed', { code: 401 }];

describe('topics that voters decide about', () => {
  it('are named in the ticket request', async (t) => {
    const { server, bodies } = await startVotingServer(t);
    const client = clientOf(server, t);
    subscribed(client, 'acme/order/7');
    subscribed(client, 'acme/"ü"');
    client.connect();
    const request = await server.ticketRequests.take();
    await server.sessions.take();
    assert.equal(request.headers['content-type'], 'application/json');
    assert.deepEqual(bodies, ['{"topics":["acme/order/7","acme/\\"ü\\""]}']);
  });

  it('are left out of a ticket request when there are none', async (t) => {
    const { server, bodies } = await startVotingServer(t);
    await connectedClient(server, t);
    assert.deepEqual(bodies, ['']);
  });

  it('that are subscribed later need one more ticket, shared by all of them, and then receive events', async (t) => {
    const { server, bodies } = await startVotingServer(t);
    const { client, session } = await connectedClient(server, t);
    const [refused, disconnected] = [inboxOf(client, 'refused'), inboxOf(client, 'disconnected')];
    const events = subscribed(client, 'acme/order/7');
    subscribed(client, 'acme/order/8');
    session.send(refusal('acme/order/7'));
    session.send(refusal('acme/order/8'));
    assert.deepEqual(await disconnected.take(), {
      code: 1000,
      reason: 'the ticket does not cover "acme/order/7"',
      willRetry: true,
      delay: 0,
    });
    const next = await server.sessions.take();
    assert.equal(next.url, '/ws?ticket=ticket-2');
    assert.deepEqual(bodies, ['', '{"topics":["acme/order/7","acme/order/8"]}']);
    assert.deepEqual(await next.messages.takeMany(2), [[5, 'acme/order/7'], [5, 'acme/order/8']]);
    next.publish('acme/order/7', 1);
    assert.equal(await events.take(), 1);

    // The ticket covers this topic, so the refusal is final.
    next.send(refusal('acme/order/8'));
    assert.deepEqual(await refused.take(), { topic: 'acme/order/8', reason: 'not allowed' });
    assert.equal(client.state, 'connected');
  });

  it('beyond a hundred are not named, and cause no further ticket request', async (t) => {
    const { server, bodies } = await startVotingServer(t);
    const client = clientOf(server, t);
    const refused = inboxOf(client, 'refused');
    for (let number = 1; number <= 101; number += 1) {
      client.subscribe(`acme/order/${number}`, () => {});
    }
    client.connect();
    const session = await server.sessions.take();
    await session.messages.take();
    assert.equal(JSON.parse(bodies[0]).topics.length, 100);
    session.send(refusal('acme/order/101'));
    assert.deepEqual(await refused.take(), { topic: 'acme/order/101', reason: 'not allowed' });
    assert.equal(client.state, 'connected');
  });

  it('are refused without a new ticket when tickets do not depend on topics', async (t) => {
    const { server } = await startVotingServer(t, {});
    const { client, session } = await connectedClient(server, t);
    const refused = inboxOf(client, 'refused');
    subscribed(client, 'acme/order/7');
    session.send(refusal('acme/order/7'));
    assert.deepEqual(await refused.take(), { topic: 'acme/order/7', reason: 'not allowed' });
    assert.equal(client.state, 'connected');
  });

  it('are passed to the application\'s own function, which may return the whole answer', async (t) => {
    const server = await startServer(t);
    const requested = [];
    const client = clientOf(server, t, {
      ticket: async (signal, topics) => {
        requested.push(topics);
        return { ticket: `own-${requested.length}`, dependsOnTopics: true };
      },
    });
    subscribed(client, 'acme/order/7');
    client.connect();
    const session = await server.sessions.take();
    await session.messages.take();
    subscribed(client, 'acme/order/8');
    session.send(refusal('acme/order/8'));
    const next = await server.sessions.take();
    assert.equal(next.url, '/ws?ticket=own-2');
    assert.deepEqual(requested, [['acme/order/7'], ['acme/order/7', 'acme/order/8']]);
  });

  it('that change with each connection cause renewals with backoff', async (t) => {
    const { server, bodies } = await startVotingServer(t);
    const client = clientOf(server, t);
    let unsubscribe = () => {};
    client.on('connected', () => {
      unsubscribe = client.subscribe('acme/order/7', () => {});
    });
    const disconnected = inboxOf(client, 'disconnected');
    client.on('disconnected', () => unsubscribe());
    client.connect();
    for (const isFirst of [true, false]) {
      const session = await server.sessions.take();
      await session.messages.take();
      session.send(refusal('acme/order/7'));
      const { delay } = await disconnected.take();
      assert.equal(delay === 0, isFirst, `${delay} ms`);
    }
    assert.deepEqual(bodies, ['', '']);
  });

  it('cause no console warning when the connection is renewed', async (t) => {
    const { server } = await startVotingServer(t);
    const said = t.mock.method(console, 'warn', () => {});
    const { client, session } = await connectedClient(server, t, { warnings: true });
    subscribed(client, 'acme/order/7');
    session.send(refusal('acme/order/7'));
    await server.sessions.take();
    assert.deepEqual(said.mock.calls, []);
  });
});
