import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { clientOf, connectedClient, inboxOf } from './support/client.js';
import { answerJson, startServer } from './support/server.js';

/** Collects the warnings in the console. @param {import('node:test').TestContext} t @returns {string[]} */
function warningsOf(t) {
  const written = [];
  t.mock.method(console, 'warn', (text) => written.push(text));
  return written;
}

describe('the console', () => {
  it('reports a refused handshake once, with what to check', async (t) => {
    const written = warningsOf(t);
    const server = await startServer(t);
    server.refuseUpgrade = 403;
    const client = clientOf(server, t, { warnings: true, random: () => 0 });
    const disconnected = inboxOf(client, 'disconnected');
    client.connect();
    await disconnected.takeMany(2);
    const [, host] = /^ws:\/\/([^/]+)/.exec(server.url);
    assert.equal(written.length, 1);
    assert.match(written[0], new RegExp(`^Orosync: not connected to ws://${host}/ws \\(1006\\): the server cannot be reached, or `));
    assert.match(written[0], /\(auth\.allowed_origins\)/);
  });

  it('reports another cause, and the same one after the next connection', async (t) => {
    const written = warningsOf(t);
    const server = await startServer(t);
    const { client, session } = await connectedClient(server, t, { warnings: true, random: () => 0 });
    const disconnected = inboxOf(client, 'disconnected');
    const connected = inboxOf(client, 'connected');
    session.close(1001, 'the server ends');
    await disconnected.take();
    await connected.take();
    const again = await server.sessions.take();
    again.close(1001, 'the server ends');
    await disconnected.take();
    server.answerTicket = (request, response) => answerJson(response, {}, 401);
    client.connect();
    await disconnected.take();
    assert.deepEqual(written.map((text) => text.replace(/^Orosync: not connected to \S+ /, '')), [
      '(1001): the server ends. Retrying.',
      '(1001): the server ends. Retrying.',
      `(0): the ticket endpoint ${server.ticketUrl} answered 401: this user gets no ticket. Not retrying: call connect() or load a page.`,
    ]);
  });

  it('reports at most twenty causes while the page is not connected', async (t) => {
    const written = warningsOf(t);
    const server = await startServer(t);
    let count = 0;
    const ticket = async () => {
      throw new Error(`no ticket, cause ${(count += 1)}`);
    };
    const client = clientOf(server, t, { warnings: true, ticketUrl: undefined, ticket });
    const disconnected = inboxOf(client, 'disconnected');
    for (let attempt = 0; attempt < 25; attempt += 1) {
      client.connect();
      await disconnected.take();
    }
    assert.equal(count, 25);
    assert.equal(written.length, 20);
  });

  it('reports a refused topic once', async (t) => {
    const written = warningsOf(t);
    const server = await startServer(t);
    const { client, session } = await connectedClient(server, t, { warnings: true });
    const refused = inboxOf(client, 'refused');
    session.send([4, 'acme/order/7', 'acme/order/7', 'no policy declares this topic']);
    session.send([4, 'acme/order/7', 'acme/order/7', 'no policy declares this topic']);
    await refused.takeMany(2);
    assert.equal(written.length, 1);
    assert.match(written[0], /^Orosync: the server refused the topic "acme\/order\/7": no policy declares this topic\. /);
  });

  it('reports nothing when the page closes the connection, or when warnings are off', async (t) => {
    const written = warningsOf(t);
    const server = await startServer(t);
    const { client } = await connectedClient(server, t, { warnings: true });
    client.close();
    server.refuseUpgrade = 403;
    const silent = clientOf(server, t);
    const disconnected = inboxOf(silent, 'disconnected');
    silent.connect();
    await disconnected.take();
    assert.deepEqual(written, []);
  });

  it('calls the function before each warning', async (t) => {
    const written = warningsOf(t);
    const server = await startServer(t);
    server.refuseUpgrade = 403;
    let mayWarn = false;
    const client = clientOf(server, t, { warnings: () => mayWarn, random: () => 0 });
    const disconnected = inboxOf(client, 'disconnected');
    client.connect();
    await disconnected.take();
    assert.deepEqual(written, []);
    mayWarn = true;
    client.connect();
    await disconnected.take();
    assert.equal(written.length, 1);
  });
});
