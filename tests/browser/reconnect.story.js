/** The server dies while pages are open. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

/** @param {() => import('./stage.js').Stage} stage */
export const reconnectStory = (stage) => describe('pages that are open while the server is killed', () => {
  it('reconnect after its restart, report that they may be outdated, and receive the next save', async () => {
    const { demo, people } = stage();
    const [anna, ben] = await Promise.all([people.signedIn('anna'), people.signedIn('ben')]);
    await anna.open('/contacts/1');
    await ben.open('/contacts');
    // Ben's PHP process has its own connection, which is lost too.
    await ben.save(2, { Notes: 'Before.' });
    await ben.isSubscribed();
    const killed = await demo.pid('server');
    const noticed = await Promise.all([anna, ben].map((person) => person.watchesFor('Reconnecting')));

    process.kill(killed, 'SIGKILL');
    await Promise.all(noticed.map((told) => told()));
    await Promise.all([anna, ben].map((person) => person.isSubscribed()));
    assert.notEqual(await demo.pid('server'), killed);

    assert.equal(await anna.isTold('outdated'), 'This page may be out of date.');

    await ben.save(1, { Notes: 'After.' });
    await anna.page.locator('.orosync-flash--outdated', { hasText: 'Ben changed what you see here.' }).waitFor();
    assert.equal(await anna.flashes('outdated').count(), 1);
  });
});
