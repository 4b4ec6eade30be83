/** Two nodes that share a Redis, behind one proxy: users notice neither their node nor the end of one. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { Demo, processesIn, processesOf } from './demo.js';
import { Path } from './path.js';
import { People } from './people.js';

/** Time limit for reconnecting to the other node; the demo restarts a killed node after ten seconds. */
const SECONDS_MS = 8_000;
const MAX_TRIES = 20;

const NODES = { DEMO_NODES: '2' };

describe('two nodes', () => {
  /** @type {Demo} */
  let demo;
  /** @type {Path} */
  let path;
  /** @type {People} */
  let afar;
  /** @type {People} */
  let people;
  /** @type {import('./people.js').Person} */
  let anna;
  /** @type {import('./people.js').Person} */
  let ben;

  before(async () => {
    demo = await Demo.startWith(NODES);
    path = await Path.open(demo.url);
    [afar, people] = await Promise.all([People.gather(demo.url, { through: path.port }), People.gather(demo.url)]);
    [anna, ben] = await Promise.all([afar.signedIn('anna'), people.signedIn('ben')]);
  });
  beforeEach(bothServe);
  after(async () => {
    await Promise.all([afar, people].map((each) => each?.close()));
    path?.close();
    await demo?.stop();
  });

  async function bothServe() {
    for (let tries = 0; Object.keys(await (await fetch(`${demo.url}/nodes`)).json()).length < 2; tries += 1) {
      assert.ok(tries < 300, 'both nodes serve within 30 seconds');
      await sleep(100);
    }
  }

  /** Both open a page, on different nodes. @param {string} annas @param {string} bens */
  async function areApart(annas, bens) {
    await anna.open(annas);
    await ben.open(bens);
    for (let tries = 0; await ben.node() === await anna.node(); tries += 1) {
      assert.ok(tries < MAX_TRIES, 'the proxy takes the other node');
      await ben.open(bens);
    }
  }

  /** @returns {Promise<{ session: string, node: number }>} her session and node before */
  async function killAnnasNode() {
    const { session } = await anna.session();
    const node = await anna.node();
    process.kill(await demo.pid(`server-${node}`), 'SIGKILL');
    return { session, node };
  }

  it('deliver moves to users of the other node', async () => {
    await areApart('/board', '/board');

    await ben.moves('Second loom', 'Proposal');
    await anna.page.getByText('Ben moved Second loom to Proposal.').waitFor();

    await anna.moves('Second loom', 'Qualified');
    await ben.page.getByText('Anna moved Second loom to Qualified.').waitFor();
  });

  it('are counted together on the status page, which names the one that it is connected to', async () => {
    await anna.open('/status');
    const { node: name } = await anna.session();
    const numbers = await (await fetch(`${demo.url}/nodes`)).json();

    assert.equal(await anna.node(), numbers[name]);
    await anna.page.locator('#counters > div', { hasText: /^Nodes2$/ }).waitFor();
    await anna.page.locator('#server > div', { hasText: `node${name}` }).waitFor();
  });

  it('take over the pages of a killed node and deliver missed events', async () => {
    await areApart('/board', '/board');
    const { session: bens } = await ben.session();

    const gate = path.hold('GET /ws', 'request');
    const was = await killAnnasNode();
    await gate.reached;
    // Some of the PHP processes had published to that node.
    for (const stage of ['Proposal', 'Won', 'Lost', 'Won', 'Proposal']) {
      await ben.moves('Second loom', stage);
    }
    assert.equal(await anna.page.getByText('Ben moved Second loom').count(), 0);
    gate.open();

    await anna.hasAnotherSessionThan(was.session, { within: SECONDS_MS });
    await anna.page.getByText('Ben moved Second loom to Proposal.').waitFor();
    await anna.moves('Second loom', 'Qualified');
    await ben.page.getByText('Anna moved Second loom to Qualified.').waitFor();
    assert.equal((await ben.session()).session, bens, 'Ben was not disturbed');
  });

  it('do not mark a page outdated that missed nothing, and deliver the next save', async () => {
    await areApart('/contacts/1', '/contacts/2');

    const was = await killAnnasNode();
    await anna.hasAnotherSessionThan(was.session, { within: SECONDS_MS });
    assert.notEqual(await anna.node(), was.node);
    await anna.isSubscribed();
    // After the restart of a single server, whose history is in memory, the page would be reported as possibly outdated.
    assert.equal(await anna.flashes('outdated').count(), 0);

    await ben.save(1, { Notes: 'From the other node.' });
    assert.equal(await anna.isTold('outdated'), 'Ben changed what you see here.');
  });

  it('accept pages on a killed node after its restart', async () => {
    await areApart('/board', '/contacts');
    const { node } = await killAnnasNode();
    await bothServe();

    for (let tries = 0; await ben.node() !== node; tries += 1) {
      assert.ok(tries < MAX_TRIES, 'the proxy takes the node that is back');
      await ben.open('/board');
    }
    await anna.moves('88 channels', 'Proposal');
    await ben.page.getByText('Anna moved 88 channels to Proposal.').waitFor();
  });

  it('leave no process running after Ctrl-C, even with one node stopped', async (t) => {
    const other = await Demo.startWith(NODES);
    t.after(() => other.stop());
    const sessions = await other.sessions();
    process.kill(await other.pid('server-2'), 'SIGKILL');
    while (await other.pid('server-2').then(() => true, () => false)) {
      await sleep(50);
    }
    // One more process: the one that waits to restart it.
    assert.notDeepEqual(await processesIn(other.directory), []);

    assert.equal(await other.end('SIGINT'), 0);
    assert.deepEqual([...await processesOf(sessions), ...await processesIn(other.directory)], []);
  });
});
