import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { WebSocket } from 'ws';
import { OrosyncClient, TicketRefusedError } from '../src/index.js';
import { clientOf, connectedClient, inboxOf } from './support/client.js';
import { answerJson, startServer } from './support/server.js';

describe('connecting', () => {
  it('offers orosync.1 before wamp', async (t) => {
    const server = await startServer(t);
    const { session } = await connectedClient(server, t);
    assert.equal(session.offered, 'orosync.1,wamp');
    assert.equal(session.protocol, 'orosync.1');
  });

  it('exposes the session id', async (t) => {
    const server = await startServer(t);
    const client = clientOf(server, t);
    const connected = inboxOf(client, 'connected');
    assert.equal(client.sessionId, null);
    client.connect();
    const { sessionId } = await connected.take();
    const session = await server.sessions.take();
    assert.equal(sessionId, session.id);
    assert.equal(client.sessionId, session.id);
  });

  it('passes the states requesting-ticket and connecting before connected', async (t) => {
    const server = await startServer(t);
    const client = clientOf(server, t);
    const states = inboxOf(client, 'state');
    assert.equal(client.state, 'closed');
    client.connect();
    assert.deepEqual(await states.takeMany(3), ['requesting-ticket', 'connecting', 'connected']);
    assert.equal(client.state, 'connected');
  });

  it('opens one connection, however often connect is called', async (t) => {
    const server = await startServer(t);
    const client = clientOf(server, t);
    const connected = inboxOf(client, 'connected');
    client.connect();
    client.connect();
    await connected.take();
    client.connect();
    client.publish('mark', 1);
    const session = await server.sessions.take();
    await session.messages.take();
    assert.equal(server.upgradeUrls.length, 1);
  });

  it('accepts http and https addresses as ws and wss', async (t) => {
    const server = await startServer(t);
    await connectedClient(server, t, { url: `${server.origin}/ws#fragment` });
    assert.equal(server.upgradeUrls[0], '/ws?ticket=ticket-1');
  });

  it('calls a function for the address before each attempt', async (t) => {
    const first = await startServer(t);
    const second = await startServer(t);
    let url = first.url;
    const { client } = await connectedClient(first, t, { url: () => url });
    url = second.url;
    client.close();
    client.connect();
    await second.sessions.take();
  });

  it('does not retry when the function returns no address', async (t) => {
    const server = await startServer(t);
    const client = clientOf(server, t, { url: () => 'localhost:8080/ws' });
    const disconnected = inboxOf(client, 'disconnected');
    client.connect();
    const { reason, willRetry } = await disconnected.take();
    assert.match(reason, /^OrosyncClient: url = "localhost:8080\/ws" has the scheme "localhost:"/);
    assert.equal(willRetry, false);
  });

  for (const [url, expected] of [
    ['/ws', /"\/ws" is not an address/],
    ['ftp://example.com/', /has the scheme "ftp:"/],
  ]) {
    it(`says what is wrong with the address ${url}`, () => {
      assert.throws(() => new OrosyncClient({ url, ticketUrl: null, WebSocket }), expected);
    });
  }

  it('rejects options without ticketUrl and ticket', () => {
    assert.throws(() => new OrosyncClient({ url: 'ws://localhost/', WebSocket }), /neither ticketUrl nor ticket/);
  });

  it('names the known events in the error for an unknown one', () => {
    const client = new OrosyncClient({ url: 'ws://localhost/', ticketUrl: null, WebSocket });
    assert.throws(() => client.on('conected', () => {}), /no event "conected"; there are: state, connected/);
    assert.throws(() => client.on('toString', () => {}), /no event "toString"/);
  });
});

describe('tickets', () => {
  it('are requested for each attempt and sent percent-encoded', async (t) => {
    const server = await startServer(t);
    const tickets = ['a+b/c=&d', 'é%'];
    server.answerTicket = (request, response) => answerJson(response, { ticket: tickets.shift() });
    const { client, session } = await connectedClient(server, t);
    const disconnected = inboxOf(client, 'disconnected');
    session.drop();
    await disconnected.take();
    client.connect();
    await server.sessions.take();
    assert.deepEqual(server.upgradeUrls, ['/ws?ticket=a%2Bb%2Fc%3D%26d', '/ws?ticket=%C3%A9%25']);
  });

  it('are added to the query of the address', async (t) => {
    const server = await startServer(t);
    await connectedClient(server, t, { url: `${server.url}?node=2` });
    assert.deepEqual(server.upgradeUrls, ['/ws?node=2&ticket=ticket-1']);
  });

  it("are requested by POST with X-Requested-With and the application's current headers", async (t) => {
    const server = await startServer(t);
    let count = 0;
    const { client, session } = await connectedClient(server, t, {
      ticketHeaders: () => ({ 'X-CSRF-Header': `csrf-${(count += 1)}` }),
    });
    const disconnected = inboxOf(client, 'disconnected');
    session.drop();
    await disconnected.take();
    client.connect();
    const requests = await server.ticketRequests.takeMany(2);
    for (const { method, headers } of requests) {
      assert.equal(method, 'POST');
      assert.equal(headers['x-requested-with'], 'XMLHttpRequest');
    }
    assert.deepEqual(requests.map(({ headers }) => headers['x-csrf-header']), ['csrf-1', 'csrf-2']);
  });

  it('may be requested with headers from an object', async (t) => {
    const server = await startServer(t);
    await connectedClient(server, t, { ticketHeaders: { 'X-CSRF-Header': 'fixed' } });
    const { headers } = await server.ticketRequests.take();
    assert.equal(headers['x-csrf-header'], 'fixed');
  });

  it('are not needed when there is no endpoint', async (t) => {
    const server = await startServer(t);
    await connectedClient(server, t, { ticketUrl: null });
    assert.deepEqual(server.upgradeUrls, ['/ws']);
    assert.equal(server.ticketRequests.size, 0);
  });

  it("may come from the application's own function", async (t) => {
    const server = await startServer(t);
    await connectedClient(server, t, { ticket: async () => 'own' });
    assert.deepEqual(server.upgradeUrls, ['/ws?ticket=own']);
  });

  for (const [what, answer] of [
    ['401', (request, response) => answerJson(response, {}, 401)],
    ['403', (request, response) => answerJson(response, {}, 403)],
    ['a redirect to a login page', (request, response) => response.writeHead(302, { Location: '/login' }).end()],
  ]) {
    it(`are not requested again after ${what}, until connect is called`, async (t) => {
      const server = await startServer(t);
      const answerWell = server.answerTicket;
      server.answerTicket = answer;
      const client = clientOf(server, t);
      const disconnected = inboxOf(client, 'disconnected');
      const connected = inboxOf(client, 'connected');
      client.connect();
      const { code, reason, willRetry, delay } = await disconnected.take();
      assert.deepEqual({ code, willRetry, delay }, { code: 0, willRetry: false, delay: null });
      assert.match(reason, /\/sync\/ticket answered/);
      assert.equal(client.state, 'refused');

      server.answerTicket = answerWell;
      client.connect();
      await connected.take();
    });
  }

  it('are not requested again when the own function throws a TicketRefusedError', async (t) => {
    const server = await startServer(t);
    const client = clientOf(server, t, {
      ticket: async () => {
        throw new TicketRefusedError('logged out');
      },
    });
    const disconnected = inboxOf(client, 'disconnected');
    client.connect();
    assert.deepEqual(await disconnected.take(), { code: 0, reason: 'logged out', willRetry: false, delay: null });
  });

  for (const [what, answer] of [
    ['503', (request, response) => answerJson(response, {}, 503)],
    ['an answer that is not JSON', (request, response) => response.end('<html>')],
    ['JSON without a ticket', (request, response) => answerJson(response, { tiket: 'x' })],
    ['JSON null', (request, response) => answerJson(response, null)],
    ['a dropped connection', (request) => request.socket.destroy()],
  ]) {
    it(`are requested again after ${what}`, async (t) => {
      const server = await startServer(t);
      const answerWell = server.answerTicket;
      server.answerTicket = answer;
      const client = clientOf(server, t, { random: () => 0 });
      const disconnected = inboxOf(client, 'disconnected');
      const connected = inboxOf(client, 'connected');
      client.connect();
      const { code, willRetry, delay } = await disconnected.take();
      assert.deepEqual({ code, willRetry, delay }, { code: 0, willRetry: true, delay: 500 });

      server.answerTicket = answerWell;
      await connected.take();
    });
  }

  it('are requested again when the own function returns an invalid ticket or throws', async (t) => {
    const server = await startServer(t);
    const gives = [
      () => undefined,
      () => '',
      () => {
        throw new Error('broken');
      },
      async () => 'good',
    ];
    const client = clientOf(server, t, { ticket: () => gives.shift()() });
    const disconnected = inboxOf(client, 'disconnected');
    const connected = inboxOf(client, 'connected');
    for (const reason of [/returned undefined/, /returned ""/, /^broken$/]) {
      client.connect();
      const ended = await disconnected.take();
      assert.match(ended.reason, reason);
      assert.equal(ended.willRetry, true);
    }
    client.connect();
    await connected.take();
  });

  it('are requested again when the endpoint does not answer in time', async (t) => {
    const server = await startServer(t);
    server.answerTicket = () => {};
    const client = clientOf(server, t, { connectTimeoutMs: 20 });
    const disconnected = inboxOf(client, 'disconnected');
    client.connect();
    const { reason, willRetry } = await disconnected.take();
    assert.equal(reason, 'no ticket within 20 ms');
    assert.equal(willRetry, true);
  });
});

describe('reconnecting', () => {
  for (const [code, willRetry, state] of [
    [1000, false, 'refused'],
    [1001, true, 'backing-off'],
    [1002, false, 'refused'],
    [1007, false, 'refused'],
    [1008, false, 'refused'],
    [1009, false, 'refused'],
    [1013, true, 'backing-off'],
    [4008, true, 'backing-off'],
    [4009, false, 'refused'],
    [4010, true, 'backing-off'],
    [4011, true, 'backing-off'],
    [4012, true, 'backing-off'],
  ]) {
    it(`${willRetry ? 'happens' : 'does not happen'} after the server has closed with ${code}`, async (t) => {
      const server = await startServer(t);
      const { client, session } = await connectedClient(server, t, { random: () => 0 });
      const disconnected = inboxOf(client, 'disconnected');
      session.close(code, 'because');
      const delay = willRetry ? (code === 1013 ? 30_000 : 500) : null;
      assert.deepEqual(await disconnected.take(), { code, reason: 'because', willRetry, delay });
      assert.equal(client.state, state);
      assert.equal(client.sessionId, null);
    });
  }

  it('happens after a connection without a Close frame', async (t) => {
    const server = await startServer(t);
    const { client, session } = await connectedClient(server, t, { random: () => 0 });
    const disconnected = inboxOf(client, 'disconnected');
    const connected = inboxOf(client, 'connected');
    session.drop();
    const ended = await disconnected.take();
    assert.deepEqual(ended, { code: 1006, reason: 'the connection was lost', willRetry: true, delay: 500 });
    await connected.take();
  });

  for (const status of [200, 401, 403]) {
    const then = status === 200 ? 'happens with a new ticket' : `does not happen when a new ticket is refused with ${status}`;
    it(`${then}, after the application has ended the session`, async (t) => {
      const server = await startServer(t);
      const { client, session } = await connectedClient(server, t, { random: () => 0 });
      const states = inboxOf(client, 'state');
      if (status !== 200) {
        server.answerTicket = (request, response) => answerJson(response, {}, status);
      }
      session.close(4010, 'reconnect with a new ticket');
      await states.takeUntil((name) => name === (status === 200 ? 'connected' : 'refused'));
      const attempts = ['/ws?ticket=ticket-1', '/ws?ticket=ticket-2'].slice(0, status === 200 ? 2 : 1);
      assert.deepEqual(server.upgradeUrls, attempts);
    });
  }

  it('uses a new ticket after a handshake that was refused with an HTTP status', async (t) => {
    const server = await startServer(t);
    server.refuseUpgrade = 401;
    const client = clientOf(server, t, { random: () => 0 });
    const disconnected = inboxOf(client, 'disconnected');
    const connected = inboxOf(client, 'connected');
    client.connect();
    const { code, reason, willRetry } = await disconnected.take();
    assert.deepEqual({ code, willRetry }, { code: 1006, willRetry: true });
    assert.match(reason, /cannot be reached, or has rejected the ticket/);

    server.refuseUpgrade = null;
    await connected.take();
    assert.deepEqual(server.upgradeUrls, ['/ws?ticket=ticket-1', '/ws?ticket=ticket-2']);
  });

  it('happens when no WELCOME arrives in time, and closes the old socket', async (t) => {
    const server = await startServer(t);
    server.greets = false;
    const client = clientOf(server, t, { ticketUrl: null, connectTimeoutMs: 300 });
    const disconnected = inboxOf(client, 'disconnected');
    const connected = inboxOf(client, 'connected');
    client.connect();
    const silent = await server.sessions.take();
    const { code, reason, willRetry } = await disconnected.take();
    assert.deepEqual({ code, reason, willRetry }, { code: 1006, reason: 'not connected within 300 ms', willRetry: true });
    await silent.closed;

    server.greets = true;
    client.connect();
    await connected.take();
  });

  it('backs off while connections do not last', async (t) => {
    const server = await startServer(t);
    const client = clientOf(server, t, { random: () => 1 });
    const disconnected = inboxOf(client, 'disconnected');
    const connected = inboxOf(client, 'connected');
    const delays = [];
    for (let round = 0; round < 4; round += 1) {
      client.connect();
      await connected.take();
      (await server.sessions.take()).drop();
      delays.push((await disconnected.take()).delay);
    }
    assert.deepEqual(delays, [1_000, 2_000, 4_000, 8_000]);
  });

  it('starts with the shortest delay again when connect is called after a refusal', async (t) => {
    const server = await startServer(t);
    const answers = [503, 503, 503, 401, 503];
    server.answerTicket = (request, response) => answerJson(response, {}, answers.shift());
    const client = clientOf(server, t, { random: () => 1 });
    const disconnected = inboxOf(client, 'disconnected');
    const delays = [];
    while (answers.length > 0) {
      client.connect();
      delays.push((await disconnected.take()).delay);
    }
    assert.deepEqual(delays, [1_000, 2_000, 4_000, null, 1_000]);
  });

  it('does not happen when the runtime rejects the address', async (t) => {
    const server = await startServer(t);
    const client = clientOf(server, t, {
      WebSocket: class {
        constructor() {
          throw new Error('An insecure WebSocket connection may not be initiated from a page loaded over HTTPS.');
        }
      },
    });
    const disconnected = inboxOf(client, 'disconnected');
    client.connect();
    const { code, reason, willRetry } = await disconnected.take();
    assert.deepEqual({ code, willRetry }, { code: 0, willRetry: false });
    assert.match(reason, /insecure/);
  });
});

describe('closing', () => {
  it('closes the session with code 1000 and emits disconnected', async (t) => {
    const server = await startServer(t);
    const { client, session } = await connectedClient(server, t);
    const disconnected = inboxOf(client, 'disconnected');
    client.close();
    const ended = { code: 1000, reason: 'closed by this page', willRetry: false, delay: null };
    assert.deepEqual(await disconnected.take(), ended);
    assert.equal(client.state, 'closed');
    assert.equal(await session.closed, 1000);
  });

  it('allows a later connect', async (t) => {
    const server = await startServer(t);
    const { client } = await connectedClient(server, t);
    const connected = inboxOf(client, 'connected');
    client.close();
    client.connect();
    await connected.take();
  });

  it('ignores a ticket that arrives afterwards', async (t) => {
    const server = await startServer(t);
    let give;
    const client = clientOf(server, t, { ticket: () => new Promise((resolve) => (give = resolve)) });
    const states = inboxOf(client, 'state');
    client.connect();
    client.close();
    give('late');
    client.connect();
    give('in time');
    assert.deepEqual(await states.takeMany(5), ['requesting-ticket', 'closed', 'requesting-ticket', 'connecting', 'connected']);
    assert.deepEqual(server.upgradeUrls, ['/ws?ticket=in%20time']);
  });

  it('before the ticket request prevents the request', async (t) => {
    const server = await startServer(t);
    let requests = 0;
    const client = clientOf(server, t, { ticket: async () => `${(requests += 1)}` });
    client.on('state', (name) => name === 'requesting-ticket' && client.close());
    client.connect();
    assert.equal(client.state, 'closed');
    assert.equal(requests, 0);
  });

  it('leaves nothing that keeps the process running after a call', async (t) => {
    const server = await startServer(t);
    const ended = exitOf(t, `
      ${programOf(server)}
      client.on('connected', async () => {
        const unanswered = client.call('slow');
        await client.call('quick');
        client.close();
        await unanswered.catch(() => {});
      });
      client.connect();
    `);
    const session = await server.sessions.take();
    const [, [, callId]] = await session.messages.takeMany(2);
    session.send([3, callId, 'answered']);
    assert.equal(await ended, 0);
  });

  for (const state of ['requesting-ticket', 'connecting', 'connected', 'backing-off']) {
    it(`works in a handler of the state ${state}`, async (t) => {
      const server = await startServer(t);
      server.refuseUpgrade = state === 'backing-off' ? 503 : null;
      const client = clientOf(server, t);
      const states = inboxOf(client, 'state');
      const connected = inboxOf(client, 'connected');
      client.on('state', (name) => {
        if (name === state) {
          client.close();
        }
      });
      client.connect();
      await states.takeUntil((name) => name === 'closed');
      assert.equal(client.state, 'closed');
      assert.equal(connected.size, 0);
    });

    it(`leaves nothing that keeps the process running in the state ${state}`, async (t) => {
      const server = await startServer(t);
      server.refuseUpgrade = state === 'backing-off' ? 503 : null;
      server.greets = state === 'connected';
      const ended = exitOf(t, `
        ${programOf(server)}
        client.on('state', (name) => name === '${state}' && setImmediate(() => client.close()));
        client.connect();
      `);
      assert.equal(await ended, 0);
    });
  }
});

/** Source of a program with a client of this server. */
const programOf = (server) => `
  import { WebSocket } from 'ws';
  import { OrosyncClient } from './src/index.js';
  const client = new OrosyncClient({ url: '${server.url}', ticketUrl: '${server.ticketUrl}', WebSocket });
`;

/** Exit code of a program. A timer left behind, at least 10 s long, would keep the program running past the limit. */
async function exitOf(t, program) {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    cwd: new URL('..', import.meta.url),
    stdio: 'inherit',
  });
  t.after(() => child.kill());
  const [code] = await once(child, 'exit', { signal: AbortSignal.timeout(8_000) });
  return code;
}
