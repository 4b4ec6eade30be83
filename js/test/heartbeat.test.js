import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { OrosyncClient } from '../src/index.js';
import { ANSWER_MS, Heartbeat, QUIET_MS } from '../src/heartbeat.js';
import { Clock } from './support/clock.js';
import { connectedClient } from './support/client.js';
import { startServer } from './support/server.js';

const MINUTE = 60_000;

/** A heartbeat over a path that a test makes silent, and what it has told. */
function stage(t, { random = () => 0, tick = 1 } = {}) {
  const clock = new Clock(t, { tick });
  const told = { asked: [], lost: [], unsent: 0, answers: true };
  const heartbeat = new Heartbeat(
    {
      ask: () => {
        told.asked.push(clock.now);
        if (told.answers) {
          setTimeout(() => heartbeat.heard(), 10);
        }
      },
      unsent: () => told.unsent,
      lost: () => told.lost.push(clock.now),
    },
    random,
  );
  heartbeat.heard();
  return { clock, heartbeat, told };
}

describe('a page without messages', () => {
  it('asks, and continues after the answer', (t) => {
    const { clock, told } = stage(t);
    clock.pass(QUIET_MS * 3 + ANSWER_MS);
    assert.equal(told.asked.length, 3);
    assert.deepEqual(told.lost, []);
  });

  it('does not ask while messages arrive', (t) => {
    const { clock, heartbeat, told } = stage(t);
    for (let events = 0; events < 10; events += 1) {
      clock.pass(QUIET_MS - 1);
      heartbeat.heard();
    }
    assert.deepEqual(told.asked, []);
  });

  it('detects a dead connection within 30 s, and reports it once', (t) => {
    const { clock, told } = stage(t);
    told.answers = false;
    clock.pass(10 * MINUTE);
    assert.deepEqual(told.lost, [QUIET_MS + ANSWER_MS]);
    assert.ok(told.lost[0] <= 30_000);
    assert.equal(clock.timers, 0);
  });

  it('asks at a random time in the last fifth', (t) => {
    for (const [random, at] of [[0, 25_000], [0.5, 22_500], [1, 20_000]]) {
      const { clock, told } = stage(t, { random: () => random });
      clock.pass(QUIET_MS);
      assert.deepEqual(told.asked, [at]);
      t.mock.restoreAll();
    }
  });

  it('waits while its send buffer drains', (t) => {
    const { clock, told } = stage(t);
    told.answers = false;
    told.unsent = 3_000_000;
    clock.pass(QUIET_MS);
    for (let round = 0; round < 5; round += 1) {
      told.unsent -= 500_000;
      clock.pass(ANSWER_MS);
      assert.deepEqual(told.lost, []);
    }
    clock.pass(ANSWER_MS);
    assert.equal(told.lost.length, 1);
  });

  it('leaves no timer behind', (t) => {
    const { clock, heartbeat } = stage(t);
    heartbeat.stop();
    heartbeat.check();
    assert.equal(clock.timers, 0);
  });
});

describe('a page that becomes visible', () => {
  it('asks at once, and detects a dead connection within 5 s', (t) => {
    const { clock, heartbeat, told } = stage(t);
    clock.pass(1_000);
    told.answers = false;
    heartbeat.check();
    heartbeat.check();
    assert.deepEqual(told.asked, [1_000]);
    clock.pass(MINUTE);
    assert.deepEqual(told.lost, [6_000]);
  });

  it('detects it no later when it had already asked', (t) => {
    const { clock, heartbeat, told } = stage(t);
    told.answers = false;
    clock.pass(QUIET_MS + 2_000);
    heartbeat.check();
    clock.pass(MINUTE);
    assert.deepEqual(told.lost, [QUIET_MS + ANSWER_MS]);
  });
});

describe('a page whose timers run once a minute', () => {
  it('never loses a working connection', (t) => {
    const { clock, told } = stage(t, { tick: MINUTE });
    clock.pass(60 * MINUTE);
    assert.ok(told.asked.length >= 20);
    assert.deepEqual(told.lost, []);
  });

  it('detects a dead connection within three minutes', (t) => {
    const { clock, told } = stage(t, { tick: MINUTE });
    told.answers = false;
    clock.pass(10 * MINUTE);
    assert.deepEqual(told.lost, [3 * MINUTE]);
  });

  for (const minutes of [0.5, 1.02, 1.5, 2.5]) {
    it(`detects a dead connection within 5 s when it becomes visible after ${minutes} minutes`, (t) => {
      const { clock, heartbeat, told } = stage(t, { tick: MINUTE });
      told.answers = false;
      clock.pass(minutes * MINUTE);
      clock.hurry();
      heartbeat.check();
      clock.pass(MINUTE);
      assert.equal(told.lost.length, 1);
      assert.ok(told.lost[0] <= minutes * MINUTE + ANSWER_MS, `${told.lost[0]}`);
    });
  }

  it('first receives the messages that arrived while it was suspended', (t) => {
    const { clock, heartbeat, told } = stage(t, { tick: MINUTE });
    told.answers = false;
    clock.pass(MINUTE);
    assert.equal(told.asked.length, 1);
    clock.pass(30 * 1_000);
    clock.hurry();
    clock.pass(0);
    heartbeat.check();
    clock.pass(500);
    heartbeat.heard();
    clock.pass(MINUTE / 6);
    assert.deepEqual(told.lost, []);
  });
});

/** A socket of which the test says what it hears. */
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

  it('asks with orosync/ping', async (t) => {
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
  for (let steps = 0; client.state !== 'open'; steps += 1) {
    assert.ok(steps < 1_000, `the client is ${client.state}`);
    await Promise.resolve();
    clock.pass(10);
  }
}
