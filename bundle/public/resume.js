/**
 * The resume ticket: issued by the server to a session for its next connection, so that reconnecting needs no request to PHP.
 *
 *             start()           answer
 *   stopped ──────────▶ asked ────────▶ resting ──▶ asked …   after 50 % to 70 % of the ticket's lifetime
 *      ▲                  │                │
 *      └──────────────────┴────────────────┘  stop(); or the server does not know the procedure (`onUnknown`)
 *
 * Each answer also carries the session's positions, so the renewals continue even without a ticket. The ticket is kept in
 * memory only, and outlives its session.
 *
 * A ticket opens one connection. The server rejects a ticket with a close code, so any other failed attempt has not used it up.
 * The ticket is kept until a connection opens, the server rejects it, it expires, or `MAX_FAILURES` consecutive attempts end
 * without a close code.
 *
 * Owns one timer. Bounds: one ticket, one unanswered call, at least `MIN_REST_MS` between calls.
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

const MIN_REST_MS = 1_000;

/**
 * Consecutive attempts with one ticket that may end without a close code before the client asks PHP. Usually the server is down
 * and PHP cannot help; but an older server rejects the ticket with an HTTP status that browsers hide, and a proxy may reject
 * the subprotocol every time. After this many attempts the backoff has spread the pages over 30 s, so they do not all ask PHP
 * at the same moment.
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
 * @typedef {{ ticket: string, since: Moment, lifetime: number, failures: number }} Kept `lifetime` in milliseconds; `failures`:
 *   consecutive attempts that ended without a close code
 */
/** @typedef {{ name: 'stopped' }} Stopped */
/** @typedef {{ name: 'asked', since: Moment }} Asked */
/** @typedef {{ name: 'resting', since: Moment, rest: number, timer: ReturnType<typeof setTimeout> }} Resting */

/**
 * @typedef {object} ResumeHandlers
 * @property {() => void} ask sends `CALL`
 * @property {(positions: Record<string, string>) => void} onPositions position of each topic with recovery
 * @property {() => void} onUnknown the server knows neither the procedure nor resume tickets
 */

export class Resume {
  #handlers;
  #random;
  /** @type {Stopped | Asked | Resting} */
  #state = { name: 'stopped' };
  /** @type {Kept | null} */
  #kept = null;

  /** @param {ResumeHandlers} handlers @param {() => number} random 0 to 1 */
  constructor(handlers, random) {
    this.#handlers = handlers;
    this.#random = random;
  }

  /** Requests a ticket for the new session, and renews it until `stop()`. */
  start() {
    this.stop();
    this.#ask();
  }

  /** Ends the renewals; the ticket is kept. */
  stop() {
    if (this.#state.name === 'resting') {
      clearTimeout(this.#state.timer);
    }
    this.#state = { name: 'stopped' };
  }

  /** Renews an overdue ticket: the page was suspended, or the machine slept. */
  renewIfOverdue() {
    if (this.#state.name === 'resting' && elapsed(this.#state.since, momentNow()) >= this.#state.rest) {
      clearTimeout(this.#state.timer);
      this.#ask();
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
    if (this.#state.name === 'asked') {
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
  take() {
    if (this.#kept !== null && elapsed(this.#kept.since, momentNow()) >= this.#kept.lifetime) {
      this.forget();
    }
    return this.#kept?.ticket ?? null;
  }

  /** Counts a failed attempt with the ticket. @param {boolean} isUnexplained whether it ended without a close code */
  failed(isUnexplained) {
    if (this.#kept !== null) {
      this.#kept.failures = isUnexplained ? this.#kept.failures + 1 : 0;
      if (this.#kept.failures === MAX_FAILURES) {
        this.forget();
      }
    }
  }

  /** Discards the ticket: the next attempt requests one from PHP. */
  forget() {
    this.#kept = null;
  }

  #ask() {
    this.#state = { name: 'asked', since: momentNow() };
    this.#handlers.ask();
  }

  /** @param {unknown} answer @param {Moment} since when the ticket was requested: it was issued later */
  #answered(answer, since) {
    const { ticket, seconds, positions } = /** @type {Record<string, unknown>} */ (isObject(answer) ? answer : {});
    const lifetime = 1_000 * (typeof seconds === 'number' && seconds > 0 ? Math.min(seconds, MAX_SECONDS) : DEFAULT_SECONDS);
    this.#kept = isTicket(ticket) ? { ticket, since, lifetime, failures: 0 } : null;
    this.#rest(lifetime, since);
    const entries = Object.entries(isObject(positions) ? positions : {});
    this.#handlers.onPositions(Object.fromEntries(entries.filter(([, position]) => typeof position === 'string')));
  }

  /** Schedules the next call after a failed one, while the current ticket is still valid. */
  #failed() {
    const now = momentNow();
    const remaining = this.#kept === null ? 0 : this.#kept.lifetime - elapsed(this.#kept.since, now);
    this.#rest(remaining > 0 ? remaining : DEFAULT_SECONDS * 1_000, now);
  }

  /** @param {number} lifetime of the ticket, in milliseconds @param {Moment} since */
  #rest(lifetime, since) {
    const part = EARLIEST + this.#random() * (LATEST - EARLIEST);
    const rest = Math.max(MIN_REST_MS, Math.round(lifetime * part));
    this.#state = { name: 'resting', since, rest, timer: setTimeout(() => this.#ask(), rest) };
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
