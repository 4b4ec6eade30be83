import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { OrosyncClient } from '../src/index.js';
import { ANSWER_MS, Heartbeat, QUIET_MS } from '../src/heartbeat.js';
import { Clock } from './support/clock.js';
import { connectedClient } from './support/client.js';
import { startServer } from './support/server.js';

const MINUTE = 60_000;

/** A heartbeat over a connection that a test can interrupt, and what it has reported. */
function setUp(t, { random = () => 0, tick = 1 } = {}) {
  const clock = new Clock(t, { tick });
  const log = { pings: [], lost: [], unsent: 0, answers: true };
  const heartbeat = new Heartbeat(
    {
      ping: () => {
        log.pings.push(clock.now);
        if (log.answers) {
          setTimeout(() => heartbeat.received(), 10);
        }
      },
      unsent: () => log.unsent,
      lost: () => log.lost.push(clock.now),
    },
    random,
  );
  heartbeat.received();
  return { clock, heartbeat, log };
}

describe('a page without messages', () => {
  it('pings, and continues after the answer', (t) => {
    const { clock, log } = setUp(t);
    clock.pass(QUIET_MS * 3 + ANSWER_MS);
    assert.equal(log.pings.length, 3);
    assert.deepEqual(log.lost, []);
  });

  it('does not ping while messages arrive', (t) => {
    const { clock, heartbeat, log } = setUp(t);
    for (let events = 0; events < 10; events += 1) {
      clock.pass(QUIET_MS - 1);
      heartbeat.received();
    }
    assert.deepEqual(log.pings, []);
  });

  it('detects a dead connection within 30 s, and reports it once', (t) => {
    const { clock, log } = setUp(t);
    log.answers = false;
    clock.pass(10 * MINUTE);
    assert.deepEqual(log.lost, [QUIET_MS + ANSWER_MS]);
    assert.ok(log.lost[0] <= 30_000);
    assert.equal(clock.timers, 0);
  });

  it('pings at a random time in the last fifth of the interval', (t) => {
    for (const [random, at] of [[0, 25_000], [0.5, 22_500], [1, 20_000]]) {
      const { clock, log } = setUp(t, { random: () => random });
      clock.pass(QUIET_MS);
      assert.deepEqual(log.pings, [at]);
      t.mock.restoreAll();
    }
  });

  it('waits while its send buffer drains', (t) => {
    const { clock, log } = setUp(t);
    log.answers = false;
    log.unsent = 3_000_000;
    clock.pass(QUIET_MS);
    for (let round = 0; round < 5; round += 1) {
      log.unsent -= 500_000;
      clock.pass(ANSWER_MS);
      assert.deepEqual(log.lost, []);
    }
    clock.pass(ANSWER_MS);
    assert.equal(log.lost.length, 1);
  });

  it('leaves no timer behind', (t) => {
    const { clock, heartbeat } = setUp(t);
    heartbeat.stop();
    heartbeat.check();
    assert.equal(clock.timers, 0);
  });
});

describe('a page that becomes visible', () => {
  it('pings at once, and detects a dead connection within 5 s', (t) => {
    const { clock, heartbeat, log } = setUp(t);
    clock.pass(1_000);
    log.answers = false;
    heartbeat.check();
    heartbeat.check();
    assert.deepEqual(log.pings, [1_000]);
    clock.pass(MINUTE);
    assert.deepEqual(log.lost, [6_000]);
  });

  it('keeps the deadline of a ping that was already sent', (t) => {
    const { clock, heartbeat, log } = setUp(t);
    log.answers = false;
    clock.pass(QUIET_MS + 2_000);
    heartbeat.check();
    clock.pass(MINUTE);
    assert.deepEqual(log.lost, [QUIET_MS + ANSWER_MS]);
  });
});

describe('a page whose timers run once a minute', () => {
  it('does not end a working connection', (t) => {
    const { clock, log } = setUp(t, { tick: MINUTE });
    clock.pass(60 * MINUTE);
    assert.ok(log.pings.length >= 20);
    assert.deepEqual(log.lost, []);
  });

  it('detects a dead connection within three minutes', (t) => {
    const { clock, log } = setUp(t, { tick: MINUTE });
    log.answers = false;
    clock.pass(10 * MINUTE);
    assert.deepEqual(log.lost, [3 * MINUTE]);
  });

  for (const minutes of [0.5, 1.02, 1.5, 2.5]) {
    it(`detects a dead connection within 5 s when it becomes visible after ${minutes} minutes`, (t) => {
      const { clock, heartbeat, log } = setUp(t, { tick: MINUTE });
      log.answers = false;
      clock.pass(minutes * MINUTE);
      clock.hurry();
      heartbeat.check();
      clock.pass(MINUTE);
      assert.equal(log.lost.length, 1);
      assert.ok(log.lost[0] <= minutes * MINUTE + ANSWER_MS, `${log.lost[0]}`);
    });
  }

  it('first receives the messages that arrived while it was suspended', (t) => {
    const { clock, heartbeat, log } = setUp(t, { tick: MINUTE });
    log.answers = false;
    clock.pass(MINUTE);
    assert.equal(log.pings.length, 1);
    clock.pass(30 * 1_000);
    clock.hurry();
    clock.pass(0);
    heartbeat.check();
    clock.pass(500);
    heartbeat.received();
    clock.pass(MINUTE / 6);
    assert.deepEqual(log.lost, []);
  });
});

/** A socket whose incoming messages the test supplies. */
class FakeSocket extends EventTarget {
  static opened = [];
  static answers = true;
  bufferedAmount = 0;

  constructor() {
    super();
    FakeSocket.opened.push(this);
    setTimeout(() => this.hear([0, 'session', 1, 'test']), 100);
  }

  hear(message) {
    this.dispatchEvent(Object.assign(new Event('message'), { data: JSON.stringify(message) }));
  }

  send(text) {
    const [, callId] = JSON.parse(text);
    if (FakeSocket.answers) {
      setTimeout(() => this.hear([3, callId, null]), 10);
    }
  }

  close() {}
}

describe('a client whose connection dies', () => {
  it('reconnects within 35 s, whatever the jitter', async (t) => {
    for (const random of [0, 0.5, 1]) {
      const clock = new Clock(t);
      FakeSocket.opened = [];
      FakeSocket.answers = true;
      const client = new OrosyncClient({ url: 'ws://x/', ticketUrl: null, WebSocket: FakeSocket, random: () => random });
      client.connect();
      await untilOpen(clock, client);
      clock.pass(10 * MINUTE);
      assert.equal(FakeSocket.opened.length, 1);

      FakeSocket.answers = false;
      const died = clock.now;
      let ended;
      client.on('disconnected', (end) => (ended = end));
      while (FakeSocket.opened.length === 1 && clock.now < died + 10 * MINUTE) {
        clock.pass(10);
        await Promise.resolve();
      }
      await untilOpen(clock, client);
      assert.equal(ended.reason, 'the server does not answer');
      assert.ok(clock.now - died <= 35_000, `${clock.now - died} ms`);
      client.close();
      assert.equal(clock.timers, 0);
      t.mock.restoreAll();
    }
  });

  it('sends orosync/ping', async (t) => {
    const server = await startServer(t);
    const heartbeats = [];
    const { setTimeout: real } = globalThis;
    t.mock.method(globalThis, 'setTimeout', (callback, delay) => {
      if (delay === QUIET_MS) {
        heartbeats.push(callback);
      }
      return real(callback, delay);
    });
    const { session } = await connectedClient(server, t, { random: () => 0 });
    heartbeats.at(-1)();
    const [type, , procedure] = await session.messages.take();
    assert.deepEqual([type, procedure], [2, 'orosync/ping']);
  });
});

/** Lets time pass until the client is connected. */
async function untilOpen(clock, client) {
  for (let steps = 0; client.state !== 'connected'; steps += 1) {
    assert.ok(steps < 1_000, `the client is ${client.state}`);
    await Promise.resolve();
    clock.pass(10);
  }
}
