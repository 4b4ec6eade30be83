/**
 * Browser client of Orosync.
 *
 * Reading order: `client.js` (what an application holds), `subscriptions.js` (what it listens to), `socket.js` (how a connection
 * comes and goes), `wamp.js` (what is on the wire), `backoff.js`, `ticket.js`; on top of the client `content-tracker.js` and `maintenance.js`; `flash.js` shows.
 */
export { CallError, OrosyncClient } from './client.js';
export { ContentTracker } from './content-tracker.js';
export { showFlash } from './flash.js';
export { Maintenance } from './maintenance.js';
export { TicketRefusedError } from './ticket.js';
