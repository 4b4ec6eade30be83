/** A client under test, and helpers that collect its events. */
import { WebSocket } from 'ws';
import { OrosyncClient } from '../../src/index.js';
import { Inbox } from './inbox.js';

/** A client of this server, not connected yet; closed at the end of the test. */
export function clientOf(server, t, options = {}) {
  const client = new OrosyncClient({ url: server.url, ticketUrl: server.ticketUrl, warnings: false, WebSocket, ...options });
  t.after(() => client.close());
  return client;
}

/** A connected client and the server's end of its session. */
export async function connectedClient(server, t, options = {}) {
  const client = clientOf(server, t, options);
  const connected = inboxOf(client, 'connected');
  client.connect();
  const session = await server.sessions.take();
  await connected.take();
  return { client, session };
}

/** Collects the details of an event. */
export function inboxOf(client, event) {
  const inbox = new Inbox(`event "${event}"`);
  client.on(event, (detail) => inbox.put(detail));
  return inbox;
}

/** Subscribes the client to a topic and collects the payloads. */
export function subscribed(client, topic, options) {
  const inbox = new Inbox(`an event of "${topic}"`);
  client.subscribe(topic, (payload) => inbox.put(payload), options);
  return inbox;
}

/** Waits until the client has processed all messages of this session; skips the client's own. */
export async function processed(client, session) {
  const answered = client.call('mark');
  const [, id] = await session.messages.takeUntil(([type, , procedure]) => type === 2 && procedure === 'mark');
  session.send([3, id, null]);
  await answered;
}

/** Drops the client's session and returns the next one. */
export async function nextSession(server, client, session) {
  await processed(client, session);
  const disconnected = inboxOf(client, 'disconnected');
  session.drop();
  await disconnected.take();
  client.connect();
  return server.sessions.take();
}
