import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ticketsFrom } from '../src/ticket.js';
import { answerJson, startServer } from './support/server.js';

describe('the answer of a ticket endpoint', () => {
  for (const [now, expected] of [[1_700_000_000_000.5, { now: 1_700_000_000_000.5 }], ['5', {}], [null, {}], [undefined, {}]]) {
    it(`may contain its time: ${JSON.stringify(now)}`, async (t) => {
      const server = await startServer(t);
      server.answerTicket = (request, response) => answerJson(response, { ticket: 'x', now, other: 1 });
      const answer = await ticketsFrom(server.ticketUrl, {})(new AbortController().signal, []);
      assert.deepEqual(answer, { ticket: 'x', dependsOnTopics: false, ...expected });
    });
  }
});
