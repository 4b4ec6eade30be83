/**
 * Browser client of Orosync.
 *
 * Reading order: `client.js` (what an application holds), `subscriptions.js` (what it listens to) with `topic.js` (one topic of
 * that, and what it has missed) and `callback-listener.js`, `socket.js` (how a connection comes and goes), `heartbeat.js`
 * (whether it still works), `wamp.js` (what is on the wire), `backoff.js`, `ticket.js`, `resume.js` (coming back without asking
 * PHP); on top of the client `content-tracker.js` and `maintenance.js`; `flash.js` shows. `page.js` is all of it as an element,
 * `live-document.js` what the elements of a document share; import that module by itself.
 */
export { CallError, OrosyncClient } from './client.js';
export { ContentTracker } from './content-tracker.js';
export { showFlash } from './flash.js';
export { Maintenance } from './maintenance.js';
export { TicketRefusedError } from './ticket.js';
