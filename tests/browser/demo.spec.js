/** The demo as a program: start, restarts and end of its processes. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';

import { Demo, newDirectory, processesOf } from './demo.js';

describe('the demo', () => {
  for (const [how, signal, exitCode] of /** @type {const} */ ([
    ['Ctrl-C', 'SIGINT', 0],
    ['SIGTERM', 'SIGTERM', 0],
    ['SIGHUP', 'SIGHUP', 0],
    ['SIGKILL', 'SIGKILL', null],
  ])) {
    it(`leaves nothing running after ${how}`, async (t) => {
      const demo = await Demo.start();
      t.after(() => demo.stop());
      const sessions = await workingSessions(demo);

      assert.equal(await demo.end(signal), exitCode);
      await nothingIsLeft(sessions, demo.url);
    });
  }

  it('restarts its worker when it has ended', async (t) => {
    const demo = await Demo.start();
    t.after(() => demo.stop());
    const killed = await demo.pid('worker');

    process.kill(killed, 'SIGKILL');

    await until(async () => await demo.pid('worker') !== killed);
  });

  it('restarts its worker if it ends before the others have started', async (t) => {
    const directory = await newDirectory();
    const starting = Demo.startIn(directory);
    t.after(async () => (await starting).stop());
    const worker = async () => Number(await readFile(join(directory, 'worker.pid'), 'utf8').catch(() => ''));
    await until(async () => await worker() > 0);
    const killed = await worker();

    process.kill(killed, 'SIGKILL');

    const demo = await starting;
    await until(async () => await demo.pid('worker') !== killed);
  });

  it('recreates a database of another version', async (t) => {
    const directory = await newDirectory();
    const database = join(directory, 'demo.sqlite');
    await sql(database, 'CREATE TABLE contact (id INTEGER PRIMARY KEY, company TEXT)');

    const demo = await Demo.startIn(directory);
    t.after(() => demo.stop());

    assert.equal(await sql(database, 'SELECT COUNT(*) FROM contact JOIN company ON company.id = contact.company_id'), '12');
  });

  it('leaves no process running after its terminal was closed', async (t) => {
    const demo = await Demo.startInTerminal();
    t.after(() => demo.stop());
    const sessions = await workingSessions(demo);

    await demo.end('SIGKILL');
    await nothingIsLeft(sessions, demo.url);
  });
});

/** @param {string} database @param {string} statement @returns {Promise<string>} the first column of its first row */
async function sql(database, statement) {
  const code = 'echo (new PDO("sqlite:$argv[1]"))->query($argv[2])->fetchColumn();';
  return (await promisify(execFile)('php', ['-r', code, database, statement])).stdout;
}

/** @param {Demo} demo */
async function workingSessions(demo) {
  const sessions = await demo.sessions();
  assert.ok((await processesOf(sessions)).length > sessions.size, 'PHP-FPM and NGINX have workers');
  return sessions;
}

/** Orphaned processes end a moment later, so this polls. @param {Set<number>} sessions @param {string} url */
async function nothingIsLeft(sessions, url) {
  await until(async () => (await processesOf(sessions)).length === 0);
  await assert.rejects(once(connect(Number(new URL(url).port), '127.0.0.1'), 'connect'), { code: 'ECONNREFUSED' });
}

/** @param {() => Promise<boolean>} holds */
async function until(holds) {
  const end = Date.now() + 30_000;
  while (!(await holds())) {
    assert.ok(Date.now() < end, 'it did not come about within 30 seconds');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
