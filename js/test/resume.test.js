import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { OrosyncClient, TicketRefusedError } from '../src/index.js';
import { CALL, MAX_FAILURES, Resume } from '../src/resume.js';
import { Clock } from './support/clock.js';
import { clientOf, connectedClient, inboxOf, nextSession, processed, subscribed } from './support/client.js';
import { answerJson, startServer } from './support/server.js';

const [, CALL_ID] = JSON.parse(CALL);
const MINUTE = 60_000;
const LIFETIME = 5 * MINUTE;

const answer = (result) => ({ type: 'callResult', callId: CALL_ID, result });
const refusal = (code) => ({ type: 'callError', callId: CALL_ID, uri: 'orosync/resume', reason: 'no', details: { code } });

/** A `Resume` with a test clock, its requests by time, and the positions that it reported. */
function setUp(t, { random = () => 0.5, tick = 1 } = {}) {
  const clock = new Clock(t, { tick });
  const requests = [];
  const positions = [];
  let unknown = 0;
  const resume = new Resume(
    { request: () => requests.push(clock.now), onPositions: (reported) => positions.push(reported), onUnknown: () => (unknown += 1) },
    random,
  );
  const given = (ticket, more = {}) => resume.received(answer({ ticket, seconds: LIFETIME / 1_000, positions: {}, ...more }));
  return { clock, resume, requests, positions, given, unknown: () => unknown };
}

describe('a resume ticket', () => {
  it('is requested with orosync/resume', () => {
    assert.deepEqual(JSON.parse(CALL), [2, CALL_ID, 'orosync/resume']);
  });

  it('is used for the next attempt', (t) => {
    const { resume, given } = setUp(t);
    resume.start();
    assert.equal(resume.ticket(), null);
    given('a.b-c_d');
    resume.stop();
    assert.equal(resume.ticket(), 'a.b-c_d');
  });

  it('is kept until a connection opens', (t) => {
    const { resume, given } = setUp(t);
    resume.start();
    given('kept');
    assert.deepEqual([1, 2, 3].map(() => resume.ticket()), ['kept', 'kept', 'kept']);
    resume.forget();
    assert.equal(resume.ticket(), null);
  });

  it('is discarded after repeated attempts without a close code', (t) => {
    const { resume, given } = setUp(t);
    resume.start();
    given('kept');
    const fail = (times, isUnexplained) => Array(times).fill(isUnexplained).forEach((is) => resume.failed(is));
    fail(MAX_FAILURES - 1, true);
    fail(1, false);
    fail(MAX_FAILURES - 1, true);
    assert.equal(resume.ticket(), 'kept');
    fail(1, true);
    assert.equal(resume.ticket(), null);
    given('another');
    resume.failed(true);
    assert.equal(resume.ticket(), null);
  });

  for (const [what, pass] of [
    ['runs', (clock, time) => clock.pass(time)],
    ['sleeps', (clock, time) => clock.sleep(time)],
    ['runs while its clock is set back', (clock, time) => {
      clock.pass(time);
      clock.sleep(-10 * LIFETIME);
    }],
  ]) {
    it(`expires while the machine ${what}`, (t) => {
      for (const [time, expected] of [[LIFETIME - 1, 'kept'], [LIFETIME, null]]) {
        const { clock, resume, given } = setUp(t);
        resume.start();
        given('kept');
        resume.stop();
        pass(clock, time);
        assert.equal(resume.ticket(), expected, `after ${time} ms`);
        t.mock.restoreAll();
      }
    });
  }

  it("is valid from its request on, because the server's lifetime starts before the answer arrives", (t) => {
    const { clock, resume, given } = setUp(t);
    resume.start();
    clock.pass(10_000);
    given('kept');
    resume.stop();
    clock.pass(LIFETIME - 10_000);
    assert.equal(resume.ticket(), null);
  });

  for (const ticket of [null, undefined, '', 7, 'no token', 'a,b', 'ü', ['a']]) {
    it(`is discarded, with the one before, when the answer says ${JSON.stringify(ticket)}`, (t) => {
      const { clock, resume, requests, given } = setUp(t);
      resume.start();
      given('before');
      clock.pass(LIFETIME * 0.6);
      given(ticket);
      clock.pass(LIFETIME * 0.6);
      assert.equal(requests.length, 3);
      assert.equal(resume.ticket(), null);
    });
  }
});

describe('renewals', () => {
  for (const [random, part] of [[0, 0.5], [0.5, 0.6], [1, 0.7]]) {
    it(`follow after ${part} of the lifetime with the random number ${random}`, (t) => {
      const { clock, resume, requests, given } = setUp(t, { random: () => random });
      resume.start();
      given('first');
      clock.pass(LIFETIME * part - 1);
      assert.deepEqual(requests, [0]);
      clock.pass(1);
      assert.deepEqual(requests, [0, LIFETIME * part]);
      assert.equal(clock.timers, 0, 'the next follows the answer');
    });
  }

  it('are in time in a hidden tab, whose timers run once a minute', (t) => {
    const { clock, resume, requests, given } = setUp(t, { random: () => 1, tick: MINUTE });
    resume.start();
    given('first');
    clock.pass(LIFETIME - 1);
    assert.equal(requests.length, 2);
  });

  it('follow at once, and only once, when the page becomes visible after the machine has slept', (t) => {
    const { clock, resume, requests, given } = setUp(t);
    resume.start();
    given('first');
    clock.sleep(LIFETIME * 0.6 - 1);
    resume.renewIfOverdue();
    assert.equal(requests.length, 1);
    clock.sleep(1);
    resume.renewIfOverdue();
    resume.renewIfOverdue();
    assert.equal(requests.length, 2);
    assert.equal(clock.timers, 0);
  });

  it('report valid positions, even without a ticket', (t) => {
    const { resume, positions, given } = setUp(t);
    resume.start();
    given(null, { positions: { 'oro/data/update': '17.9f3ac2d1', odd: 7 } });
    assert.deepEqual(positions, [{ 'oro/data/update': '17.9f3ac2d1' }]);
  });

  it('end with the session, which keeps the ticket', (t) => {
    const { clock, resume, requests, given } = setUp(t);
    resume.start();
    given('kept');
    resume.stop();
    resume.renewIfOverdue();
    clock.pass(LIFETIME - 1);
    assert.equal(requests.length, 1);
    assert.equal(resume.ticket(), 'kept');
  });

  it('end when the server does not know the procedure', (t) => {
    const { clock, resume, requests, unknown } = setUp(t);
    resume.start();
    assert.equal(resume.received(refusal(404)), true);
    resume.renewIfOverdue();
    clock.pass(10 * LIFETIME);
    assert.equal(requests.length, 1);
    assert.equal(unknown(), 1);
  });

  it('continue after any other error, which keeps the ticket', (t) => {
    const { clock, resume, requests, given } = setUp(t);
    resume.start();
    given('kept', { seconds: 1_000 });
    clock.pass(600_000);
    resume.received(refusal(429));
    assert.equal(resume.ticket(), 'kept');
    // After a part of that ticket's remaining lifetime.
    clock.pass(400_000 * 0.6 - 1);
    assert.equal(requests.length, 2);
    clock.pass(1);
    assert.equal(requests.length, 3);
  });

  it('continue after repeated errors, at the default interval once the ticket has expired', (t) => {
    const { clock, resume, requests, given } = setUp(t);
    resume.start();
    given('kept', { seconds: 60 });
    const answered = () => {
      const count = requests.length;
      while (requests.length === count) {
        clock.pass(500);
      }
      resume.received(refusal(429));
    };
    while (resume.ticket() !== null) {
      answered();
    }
    const [before, count] = [clock.now, requests.length];
    assert.ok(count < 10, `${count} calls in a minute`);
    answered();
    assert.ok(clock.now - before >= LIFETIME * 0.6 - 1_000, `${clock.now - before} ms`);
  });

  it('end after an error without a code, from another product', (t) => {
    const { resume, unknown } = setUp(t);
    resume.start();
    resume.received(refusal(undefined));
    assert.equal(unknown(), 1);
  });

  const unsaid = [0, -1, '60', null, undefined].map((seconds) => [seconds, LIFETIME * 0.6]);
  for (const [seconds, rest] of [...unsaid, [0.001, 1_000], [1e12, 24 * 60 * MINUTE * 0.6]]) {
    it(`follow after ${rest} ms for a ticket of ${seconds} s`, (t) => {
      const { clock, resume, requests, given } = setUp(t);
      resume.start();
      given('kept', { seconds });
      clock.pass(rest - 1);
      assert.equal(requests.length, 1);
      clock.pass(1);
      assert.equal(requests.length, 2);
    });
  }

  for (const result of [null, 7, 'text', [], { ticket: 'kept' }, { ticket: 'kept', positions: null }]) {
    it(`continue after the answer ${JSON.stringify(result)}`, (t) => {
      const { clock, resume, requests, positions } = setUp(t);
      resume.start();
      resume.received(answer(result));
      clock.pass(LIFETIME * 0.6);
      assert.equal(requests.length, 2);
      assert.deepEqual(positions, [{}]);
    });
  }

  it('ignore answers to other calls', (t) => {
    const { resume, given } = setUp(t);
    resume.start();
    assert.equal(resume.received({ type: 'event', topic: CALL_ID, payload: null }), false);
    assert.equal(resume.received({ type: 'callResult', callId: 'orosync-call-1', result: { ticket: 'foreign' } }), false);
    assert.equal(given('first'), true);
    assert.equal(given('unrequested'), true);
    assert.equal(resume.ticket(), 'first');
  });
});

/** A server that gives each session a ticket: resume-1, resume-2, ... */
async function startResumingServer(t) {
  const server = await startServer(t);
  let count = 0;
  server.answerResume = (session, callId) => {
    count += 1;
    session.send([3, callId, { ticket: `resume-${count}`, seconds: 300, positions: {} }]);
  };
  return server;
}

/** A connected client that has its resume ticket, and the server's end of its session. */
async function resumableClient(server, t, options) {
  const { client, session } = await connectedClient(server, t, options);
  await holdsTicket(client, session);
  return { client, session };
}

/** Waits until the client has the answer with the ticket. */
async function holdsTicket(client, session) {
  await session.renewals.take();
  await processed(client, session);
}

const OFFERED = 'orosync.1,wamp';

describe('reconnecting with a resume ticket', () => {
  it('sends no request to PHP', async (t) => {
    const server = await startResumingServer(t);
    const { client, session } = await resumableClient(server, t);
    const states = inboxOf(client, 'state');
    let present = session;
    for (const round of [1, 2, 3]) {
      present.drop();
      assert.deepEqual(await states.takeMany(1), ['backing-off']);
      client.connect();
      assert.deepEqual(await states.takeMany(2), ['connecting', 'connected']);
      present = await server.sessions.take();
      assert.equal(present.url, '/ws');
      assert.equal(present.offered, `${OFFERED},orosync.ticket.resume-${round}`);
      assert.equal(present.protocol, 'orosync.1');
      await holdsTicket(client, present);
    }
    assert.equal(server.ticketRequests.size, 1);
  });

  it('keeps the query of the address', async (t) => {
    const server = await startResumingServer(t);
    const { client, session } = await resumableClient(server, t, { url: `${server.url}?node=2` });
    session.drop();
    await inboxOf(client, 'disconnected').take();
    client.connect();
    assert.equal((await server.sessions.take()).url, '/ws?node=2');
  });

  it('does not happen for a session that did not choose orosync.1', async (t) => {
    const server = await startResumingServer(t);
    server.chooseProtocol = () => 'wamp';
    const { client, session } = await connectedClient(server, t);
    client.publish('mark', 1);
    await session.messages.take();
    assert.equal(session.renewals.size, 0);
  });

  it('requests the ticket after the subscriptions, and after what a handler of `connected` sends', async (t) => {
    const server = await startResumingServer(t);
    let before;
    server.answerResume = (session) => {
      before = session.messages.size;
    };
    const client = clientOf(server, t);
    client.subscribe('a', () => {});
    client.on('connected', () => client.publish('b', 1));
    client.connect();
    const session = await server.sessions.take();
    await session.renewals.take();
    assert.equal(before, 2);
  });

  it('requests no ticket when a handler of `connected` has closed the client', async (t) => {
    const server = await startResumingServer(t);
    const client = clientOf(server, t);
    client.on('connected', () => client.close());
    client.connect();
    const session = await server.sessions.take();
    await session.closed;
    assert.equal(session.renewals.size, 0);
  });

  it('adopts the positions of a renewal, so that filtered events do not age a page', async (t) => {
    const server = await startResumingServer(t);
    let giveTicket;
    server.answerResume = (session, callId) => {
      giveTicket = (positions) => session.send([3, callId, { ticket: 'resume-1', seconds: 300, positions }]);
    };
    const client = clientOf(server, t);
    subscribed(client, 'a', { recover: true });
    client.connect();
    const session = await server.sessions.take();
    (await session.subscribed()).answer('5.1f');
    await session.renewals.take();
    giveTicket({ a: '9.1f', 'of another': '1.1f' });
    const next = await nextSession(server, client, session);
    assert.equal(next.url, '/ws');
    assert.deepEqual((await next.subscribed()).options, { since: '9.1f' });
  });

  it('passes on the answers to calls of the application', async (t) => {
    const server = await startResumingServer(t);
    const { client, session } = await resumableClient(server, t);
    const result = client.call('own');
    const [, callId] = await session.messages.take();
    session.send([3, callId, 'theirs']);
    assert.equal(await result, 'theirs');
  });
});

describe('an attempt with a resume ticket that does not open', () => {
  /** Ends an attempt before WELCOME. */
  async function refused(server, client, code) {
    const disconnected = inboxOf(client, 'disconnected');
    server.greets = false;
    client.connect();
    (await server.sessions.take()).close(code);
    server.greets = true;
    return disconnected.take();
  }

  it('is followed at once by one with a ticket from PHP when the server rejects the ticket', async (t) => {
    const server = await startResumingServer(t);
    const { client, session } = await resumableClient(server, t, { random: () => 1 });
    const [disconnected, connected] = [inboxOf(client, 'disconnected'), inboxOf(client, 'connected')];
    session.drop();
    assert.equal((await disconnected.take()).delay, 1_000);
    const { willRetry, delay } = await refused(server, client, 4010);
    assert.deepEqual({ willRetry, delay }, { willRetry: true, delay: 0 });
    await connected.take();
    assert.deepEqual(server.upgradeUrls, ['/ws?ticket=ticket-1', '/ws', '/ws?ticket=ticket-2']);
  });

  it('is repeated with the same ticket while the server is down, and requests one from PHP after five attempts', async (t) => {
    const server = await startResumingServer(t);
    const { client, session } = await resumableClient(server, t, { random: () => 1 });
    const [disconnected, connected] = [inboxOf(client, 'disconnected'), inboxOf(client, 'connected')];
    server.refuseUpgrade = 502;
    session.drop();
    const delays = [(await disconnected.take()).delay];
    for (let attempts = 0; attempts < MAX_FAILURES; attempts += 1) {
      client.connect();
      delays.push((await disconnected.take()).delay);
    }
    assert.deepEqual(delays, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000]);
    assert.equal(server.ticketRequests.size, 1);
    server.refuseUpgrade = null;
    client.connect();
    await connected.take();
    assert.deepEqual(server.upgradeUrls.slice(1), [...Array(MAX_FAILURES).fill('/ws'), '/ws?ticket=ticket-2']);
  });

  it('is repeated with the same ticket after a short outage, without a request to PHP', async (t) => {
    const server = await startResumingServer(t);
    const { client, session } = await resumableClient(server, t, { random: () => 1 });
    const [disconnected, connected] = [inboxOf(client, 'disconnected'), inboxOf(client, 'connected')];
    server.refuseUpgrade = 502;
    session.drop();
    await disconnected.take();
    for (let attempts = 1; attempts < MAX_FAILURES; attempts += 1) {
      client.connect();
      await disconnected.take();
    }
    server.refuseUpgrade = null;
    client.connect();
    await connected.take();
    assert.deepEqual(server.upgradeUrls.slice(1), Array(MAX_FAILURES).fill('/ws'));
    assert.equal(server.ticketRequests.size, 1);
  });

  it('is repeated with the same ticket while the server cannot check it, without a request to PHP', async (t) => {
    const server = await startResumingServer(t);
    const { client, session } = await resumableClient(server, t, { random: () => 1 });
    const [disconnected, connected] = [inboxOf(client, 'disconnected'), inboxOf(client, 'connected')];
    session.drop();
    await disconnected.take();
    const delays = [];
    for (let attempts = 0; attempts < 2 * MAX_FAILURES; attempts += 1) {
      const { delay } = await refused(server, client, 4011);
      await disconnected.take();
      delays.push(delay);
    }
    assert.deepEqual(delays.slice(0, 6), [2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
    client.connect();
    await connected.take();
    assert.deepEqual(server.upgradeUrls.slice(1), Array(2 * MAX_FAILURES + 1).fill('/ws'));
    assert.equal(server.ticketRequests.size, 1);
  });

  it('is followed after the delay of its close code', async (t) => {
    const server = await startResumingServer(t);
    const { client, session } = await resumableClient(server, t, { random: () => 0 });
    const disconnected = inboxOf(client, 'disconnected');
    server.greets = false;
    session.drop();
    await disconnected.take();
    client.connect();
    (await server.sessions.take()).close(1013);
    const { code, delay } = await disconnected.take();
    assert.deepEqual({ code, delay }, { code: 1013, delay: 30_000 });
  });
});

describe('a server that does not know resume tickets', () => {
  it('accepts the page as anonymous, and the client reconnects at once with a ticket from PHP', async (t) => {
    const server = await startResumingServer(t);
    const { client, session } = await resumableClient(server, t);
    const disconnected = inboxOf(client, 'disconnected');
    server.answerResume = (old, callId) => old.send([4, callId, 'orosync/resume', 'no such procedure', { code: 404 }]);
    session.drop();
    await disconnected.take();
    client.connect();
    assert.equal((await server.sessions.take()).url, '/ws');
    const { willRetry, delay } = await disconnected.take();
    assert.deepEqual({ willRetry, delay }, { willRetry: true, delay: 0 });
    const third = await server.sessions.take();
    assert.equal(third.url, '/ws?ticket=ticket-2');

    // This session has an identity.
    await holdsTicket(client, third);
    assert.equal(client.sessionId, third.id);
    assert.equal(disconnected.size, 0);
  });
});

describe('a resume ticket is discarded', () => {
  /** Calls `leave`, then `connect()`. Returns the address of the next session. */
  async function addressAfter(t, leave, options) {
    const server = await startResumingServer(t);
    const { client, session } = await resumableClient(server, t, options);
    const states = inboxOf(client, 'state');
    leave({ client, session });
    await states.take();
    client.connect();
    return (await server.sessions.take()).url;
  }

  it('once a connection has opened with it, even if the server issues no other', async (t) => {
    const server = await startResumingServer(t);
    const { client, session } = await resumableClient(server, t);
    server.answerResume = () => {};
    const connected = inboxOf(client, 'connected');
    const second = await nextSession(server, client, session);
    assert.equal(second.url, '/ws');
    await connected.take();
    assert.equal((await nextSession(server, client, second)).url, '/ws?ticket=ticket-2');
  });

  it('by close(), because the next connect() may be for another user', async (t) => {
    assert.equal(await addressAfter(t, ({ client }) => client.close()), '/ws?ticket=ticket-2');
  });

  for (const [code, expected] of [[4010, '/ws?ticket=ticket-2'], [1008, '/ws?ticket=ticket-2'], [1001, '/ws'], [4008, '/ws'], [4011, '/ws'], [4012, '/ws']]) {
    it(`${expected === '/ws' ? 'not ' : ''}after the server has closed with ${code}`, async (t) => {
      assert.equal(await addressAfter(t, ({ session }) => session.close(code)), expected);
    });
  }

  it('by close() while backing off', async (t) => {
    const leave = ({ client, session }) => {
      client.on('disconnected', () => client.close());
      session.drop();
    };
    assert.equal(await addressAfter(t, leave), '/ws?ticket=ticket-2');
  });

  it('when PHP refuses a ticket', async (t) => {
    const server = await startResumingServer(t);
    const gives = ['first', new TicketRefusedError('logged out'), 'second'];
    const ticket = async () => {
      const given = gives.shift();
      if (given instanceof Error) {
        throw given;
      }
      return given;
    };
    const { client, session } = await resumableClient(server, t, { ticket });
    const states = inboxOf(client, 'state');
    session.close(4010);
    await states.takeUntil((name) => name === 'backing-off');
    client.connect();
    await states.takeUntil((name) => name === 'refused');
    client.connect();
    assert.equal((await server.sessions.take()).url, '/ws?ticket=second');
  });

  it('when a later topic needs another ticket, even after reconnecting with it', async (t) => {
    const server = await startResumingServer(t);
    server.answerTicket = (request, response) => answerJson(response, { ticket: `ticket-${server.upgradeUrls.length}`, dependsOnTopics: true });
    const client = clientOf(server, t);
    const [disconnected, refused] = [inboxOf(client, 'disconnected'), inboxOf(client, 'refused')];
    subscribed(client, 'acme/order/7');
    client.connect();
    let session = await server.sessions.take();
    await holdsTicket(client, session);
    session.drop();
    await disconnected.take();
    client.connect();
    session = await server.sessions.take();
    assert.equal(session.url, '/ws');
    await holdsTicket(client, session);

    // The resume ticket grants the topics of the first ticket; another resume ticket would not grant more.
    session.send([4, 'acme/order/7', 'acme/order/7', 'not allowed', { code: 401 }]);
    assert.deepEqual(await refused.take(), { topic: 'acme/order/7', reason: 'not allowed' });

    subscribed(client, 'acme/order/8');
    session.send([4, 'acme/order/8', 'acme/order/8', 'not allowed', { code: 401 }]);
    await disconnected.take();
    assert.equal((await server.sessions.take()).url, '/ws?ticket=ticket-2');
  });
});

/** A socket on a network path that a test can interrupt. */
class FakeSocket extends EventTarget {
  static opened = [];
  static isSilent = false;
  protocol = 'orosync.1';
  bufferedAmount = 0;

  constructor(url, protocols) {
    super();
    this.offered = protocols.join();
    FakeSocket.opened.push(this);
    this.#hear([0, 'session', 1, 'test']);
  }

  send(text) {
    const [, callId] = JSON.parse(text);
    this.#hear([3, callId, callId === CALL_ID ? { ticket: 'kept', seconds: 300, positions: {} } : null]);
  }

  /** The server rejects the ticket. */
  refuse() {
    this.dispatchEvent(Object.assign(new Event('close'), { code: 4010, reason: '' }));
  }

  close() {}

  #hear(message) {
    if (!FakeSocket.isSilent) {
      setTimeout(() => this.dispatchEvent(Object.assign(new Event('message'), { data: JSON.stringify(message) })), 10);
    }
  }
}

/** A client that has just detected its dead connection; `tickets` counts the requests to PHP. */
async function silencedClient(t) {
  const clock = new Clock(t);
  FakeSocket.opened = [];
  FakeSocket.isSilent = false;
  const stage = { clock, tickets: 0, pass: null };
  const client = new OrosyncClient({
    url: 'ws://x/',
    ticket: () => {
      stage.tickets += 1;
      return stage.tickets === 1 ? Promise.resolve('php') : new Promise(() => {});
    },
    warnings: false,
    WebSocket: FakeSocket,
    random: () => 0,
  });
  t.after(() => client.close());
  stage.pass = async (milliseconds) => {
    for (let passed = 0; passed < milliseconds; passed += 10) {
      clock.pass(10);
      await new Promise(setImmediate);
    }
  };
  client.connect();
  await stage.pass(100);
  assert.equal(client.state, 'connected');
  FakeSocket.isSilent = true;
  const lost = inboxOf(client, 'disconnected');
  while (lost.size === 0) {
    await stage.pass(1_000);
  }
  return { ...stage, client, stage };
}

describe('a client after a dead connection', () => {
  it('reconnects without a request if it has a resume ticket', async (t) => {
    const { stage, pass } = await silencedClient(t);
    await pass(100);
    assert.deepEqual(FakeSocket.opened.map(({ offered }) => offered), [OFFERED, `${OFFERED},orosync.ticket.kept`]);
    assert.equal(stage.tickets, 1);
  });

  it("requests a ticket on a new connection, past the browser's dead ones, when the server rejects it", async (t) => {
    const { stage, pass } = await silencedClient(t);
    await pass(100);
    FakeSocket.opened[1].refuse();
    await pass(1_000);
    assert.equal(stage.tickets, 1 + 7);
  });
});
