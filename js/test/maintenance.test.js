import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Maintenance } from '../src/index.js';
import { connectedClient, nextSession, subscribed } from './support/client.js';
import { Inbox } from './support/inbox.js';
import { startServer } from './support/server.js';

const TOPIC = 'oro/maintenance';

/** A page of the user with this id on a real session; `changes` collects the calls of `onChange`. */
async function page(t, userId) {
  const server = await startServer(t);
  const { client, session } = await connectedClient(server, t);
  const changes = new Inbox('a change of maintenance');
  const maintenance = new Maintenance(client, { userId, onChange: (isOn) => changes.put(isOn) });
  return { server, client, session, maintenance, changes };
}

describe('Maintenance', () => {
  it('reports when it begins and when it ends', async (t) => {
    const { session, changes } = await page(t, 5);
    session.publish(TOPIC, { isOn: true, userId: 6 });
    session.publish(TOPIC, { isOn: false, userId: 6 });
    assert.deepEqual(await changes.takeMany(2), [true, false]);
  });

  for (const [mine, theirs] of [[5, 5], [5, '5'], ['5', 5]]) {
    it(`is not reported to the user who switched it on (${JSON.stringify(mine)} and ${JSON.stringify(theirs)})`, async (t) => {
      const { client, session, changes } = await page(t, mine);
      const mark = subscribed(client, 'mark');
      session.publish(TOPIC, { isOn: true, userId: theirs });
      session.publish('mark', 'behind it');
      await mark.take();
      assert.equal(changes.size, 0);
    });
  }

  it('is reported to a user whose id begins with the same digits', async (t) => {
    const { session, changes } = await page(t, '7f0c2a18-93d4-4c0e-9a51-0d2f6f4b7a11');
    session.publish(TOPIC, { isOn: true, userId: '7e15d3aa-1c7b-4b3e-8a70-5c2f0e9d4b22' });
    assert.equal(await changes.take(), true);
  });

  for (const [what, userId] of [['a user', 5], ['nobody', null]]) {
    it(`switched on from the console is reported to ${what}`, async (t) => {
      const { session, changes } = await page(t, userId);
      session.publish(TOPIC, { isOn: true, userId: null });
      assert.equal(await changes.take(), true);
    });
  }

  it('reports it once, however often it is announced', async (t) => {
    const { session, changes } = await page(t, 5);
    for (const isOn of [false, true, true, false, false, true]) {
      session.publish(TOPIC, { isOn, userId: null });
    }
    assert.deepEqual(await changes.takeMany(3), [true, false, true]);
  });

  it('treats an unreadable message as "off"', async (t) => {
    const { session, changes } = await page(t, 5);
    session.publish(TOPIC, { isOn: true });
    session.publish(TOPIC, null);
    session.publish(TOPIC, { isOn: true });
    session.publish(TOPIC, 'text');
    assert.deepEqual(await changes.takeMany(4), [true, false, true, false]);
  });

  it('reports a change that a page missed while offline', async (t) => {
    const { server, client, session, changes } = await page(t, 5);
    (await session.subscribed()).answer('1');
    session.publish(TOPIC, { isOn: true, userId: 6 }, '2');
    assert.equal(await changes.take(), true);
    const second = await nextSession(server, client, session);
    const call = await second.subscribed();
    assert.deepEqual([call.topic, call.options], [TOPIC, { since: '2' }]);
    call.answer('3', [['3', { isOn: false, userId: 6 }]]);
    assert.equal(await changes.take(), false);
  });

  it('ends with close', async (t) => {
    const { session, maintenance } = await page(t, 5);
    (await session.subscribed()).answer('1');
    maintenance.close();
    assert.deepEqual(await session.messages.take(), [6, TOPIC]);
  });
});
