/**
 * Browser client of Orosync.
 *
 * Reading order:
 *
 * - `client.js`: the client that an application creates
 * - `subscriptions.js`, `topic.js`, `callback-listener.js`: subscriptions, the state of one topic with the events it has
 *   missed, and one callback
 * - `socket.js`, `heartbeat.js`: connecting, reconnecting, detecting a dead connection
 * - `wamp.js`: the wire format
 * - `backoff.js`, `ticket.js`, `resume.js`: retry policy, tickets of the application, tickets for reconnecting without PHP
 * - `content-tracker.js`, `maintenance.js`: the two users of the client; `flash.js` displays their messages
 * - `page.js`, `live-document.js`: all of it as a custom element, and the state that the elements of a document share. Not
 *   exported here: importing `page.js` defines the element
 */
export { CallError, OrosyncClient } from './client.js';
export { ContentTracker } from './content-tracker.js';
export { showFlash } from './flash.js';
export { Maintenance } from './maintenance.js';
export { TicketRefusedError } from './ticket.js';
