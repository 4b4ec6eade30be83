/**
 * The resume ticket: issued by the server to a session for its next connection, so that reconnecting needs no request to PHP.
 *
 *             start()               answer
 *   stopped ──────────▶ requested ────────▶ scheduled ──▶ requested …   after 50 % to 70 % of the ticket's lifetime
 *      ▲                    │                   │
 *      └────────────────────┴───────────────────┘  stop(); or the server does not know the procedure (`onUnknown`)
 *
 * Each answer also carries the session's positions, so the renewals continue even without a ticket. The ticket is kept in
 * memory only, and outlives its session.
 *
 * A ticket opens one connection. The server rejects a ticket with a close code, so any other failed attempt has not used it up.
 * The ticket is kept until a connection opens, the server rejects it, it expires, or `MAX_FAILURES` consecutive attempts end
 * without a close code.
 *
 * Owns one timer. Bounds: one ticket, one unanswered call, at least `MIN_INTERVAL_MS` between calls.
 */
import { elapsed, momentNow } from './moment.js';
import { encodeCall, isUnknownProcedure } from './wamp.js';

/** Prefix of the subprotocol that carries the ticket. Proxies would log a ticket in the URL. */
const TICKET_PROTOCOL = 'orosync.ticket.';

const CALL_ID = 'orosync-resume';
export const CALL = encodeCall(CALL_ID, 'orosync/resume', []);

/** Lifetime if the answer states none: the server's default (`auth.resume_seconds`). */
const DEFAULT_SECONDS = 300;

/** `setTimeout` overflows beyond 24 days and then fires immediately. */
const MAX_SECONDS = 24 * 60 * 60;

const MIN_INTERVAL_MS = 1_000;

/**
 * Consecutive attempts with one ticket that may end without a close code before the client requests a ticket from PHP. Usually
 * the server is down and PHP cannot help; but an older server rejects the ticket with an HTTP status that browsers hide, and a
 * proxy may reject the subprotocol every time. After this many attempts the backoff has spread the pages over 30 s, so they do
 * not all send a request to PHP at the same moment.
 */
export const MAX_FAILURES = 5;

/**
 * Jitter: a renewal follows after a random part of the ticket's lifetime in this range, so that pages that reconnected together
 * do not renew together. The remainder covers hidden tabs, whose timers fire up to a minute late.
 */
const EARLIEST = 0.5;
const LATEST = 0.7;

/** @typedef {import('./moment.js').Moment} Moment */
/**
 * @typedef {{ ticket: string, since: Moment, lifetime: number, failures: number }} HeldTicket `lifetime` in milliseconds;
 *   `failures`: consecutive attempts that ended without a close code
 */
/** @typedef {{ name: 'stopped' }} Stopped */
/** @typedef {{ name: 'requested', since: Moment }} Requested */
/** @typedef {{ name: 'scheduled', since: Moment, delay: number, timer: ReturnType<typeof setTimeout> }} Scheduled */

/**
 * @typedef {object} ResumeHandlers
 * @property {() => void} request sends `CALL`
 * @property {(positions: Record<string, string>) => void} onPositions position of each topic with recovery
 * @property {() => void} onUnknown the server knows neither the procedure nor resume tickets
 */

export class Resume {
  #handlers;
  #random;
  /** @type {Stopped | Requested | Scheduled} */
  #state = { name: 'stopped' };
  /** @type {HeldTicket | null} */
  #held = null;

  /** @param {ResumeHandlers} handlers @param {() => number} random 0 to 1 */
  constructor(handlers, random) {
    this.#handlers = handlers;
    this.#random = random;
  }

  /** Requests a ticket for the new session, and renews it until `stop()`. */
  start() {
    this.stop();
    this.#request();
  }

  /** Ends the renewals; the ticket is kept. */
  stop() {
    if (this.#state.name === 'scheduled') {
      clearTimeout(this.#state.timer);
    }
    this.#state = { name: 'stopped' };
  }

  /** Renews an overdue ticket: the page was suspended, or the machine slept. */
  renewIfOverdue() {
    if (this.#state.name === 'scheduled' && elapsed(this.#state.since, momentNow()) >= this.#state.delay) {
      clearTimeout(this.#state.timer);
      this.#request();
    }
  }

  /**
   * @param {import('./wamp.js').SessionMessage} message
   * @returns {boolean} whether it was the answer to `CALL`
   */
  received(message) {
    if (!('callId' in message) || message.callId !== CALL_ID) {
      return false;
    }
    if (this.#state.name === 'requested') {
      const { since } = this.#state;
      if (message.type === 'callResult') {
        this.#answered(message.result, since);
      } else if (isUnknownProcedure(message)) {
        this.stop();
        this.#handlers.onUnknown();
      } else {
        this.#failed();
      }
    }
    return true;
  }

  /** The ticket for the next attempt; null: request one from PHP. */
  ticket() {
    if (this.#held !== null && elapsed(this.#held.since, momentNow()) >= this.#held.lifetime) {
      this.forget();
    }
    return this.#held?.ticket ?? null;
  }

  /** Counts a failed attempt with the ticket. @param {boolean} isUnexplained whether it ended without a close code */
  failed(isUnexplained) {
    if (this.#held !== null) {
      this.#held.failures = isUnexplained ? this.#held.failures + 1 : 0;
      if (this.#held.failures === MAX_FAILURES) {
        this.forget();
      }
    }
  }

  /** Discards the ticket: the next attempt requests one from PHP. */
  forget() {
    this.#held = null;
  }

  #request() {
    this.#state = { name: 'requested', since: momentNow() };
    this.#handlers.request();
  }

  /** @param {unknown} answer @param {Moment} since when the ticket was requested: it was issued later */
  #answered(answer, since) {
    const { ticket, seconds, positions } = /** @type {Record<string, unknown>} */ (isObject(answer) ? answer : {});
    const lifetime = 1_000 * (typeof seconds === 'number' && seconds > 0 ? Math.min(seconds, MAX_SECONDS) : DEFAULT_SECONDS);
    this.#held = isTicket(ticket) ? { ticket, since, lifetime, failures: 0 } : null;
    this.#schedule(lifetime, since);
    const entries = Object.entries(isObject(positions) ? positions : {});
    this.#handlers.onPositions(Object.fromEntries(entries.filter(([, position]) => typeof position === 'string')));
  }

  /** Schedules the next call after a failed one, while the current ticket is still valid. */
  #failed() {
    const now = momentNow();
    const remaining = this.#held === null ? 0 : this.#held.lifetime - elapsed(this.#held.since, now);
    this.#schedule(remaining > 0 ? remaining : DEFAULT_SECONDS * 1_000, now);
  }

  /** @param {number} lifetime of the ticket, in milliseconds @param {Moment} since */
  #schedule(lifetime, since) {
    const part = EARLIEST + this.#random() * (LATEST - EARLIEST);
    const delay = Math.max(MIN_INTERVAL_MS, Math.round(lifetime * part));
    this.#state = { name: 'scheduled', since, delay, timer: setTimeout(() => this.#request(), delay) };
  }
}

/** The subprotocol that carries the ticket. @type {(ticket: string) => string} */
export const ticketProtocol = (ticket) => TICKET_PROTOCOL + ticket;

/**
 * Whether the value is valid as a subprotocol: the `WebSocket` constructor throws on anything else.
 *
 * @param {unknown} value
 * @returns {value is string}
 */
function isTicket(value) {
  return typeof value === 'string' && /^[\w.-]+$/.test(value);
}

/** @type {(value: unknown) => value is object} */
const isObject = (value) => typeof value === 'object' && value !== null;
