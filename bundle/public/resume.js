/**
 * The resume ticket: what the server gives a session for its own next connection, so that coming back costs PHP nothing.
 *
 *             start()           answer
 *   stopped ──────────▶ asked ────────▶ resting ──▶ asked …   after about 60 % of the ticket's lifetime
 *      ▲                  │                │
 *      └──────────────────┴────────────────┘  stop(); or the server does not know the procedure (`onUnknown`)
 *
 * Each answer carries the session's positions too, so renewals go on where the server gives no ticket. The ticket is kept in
 * memory only, and outlives its session.
 *
 * A ticket opens one connection. The server says by a close code that it refuses one, so an attempt that failed in any other
 * way has not used it up: it is kept until a connection opens, the server refuses it, it expires, or `MAX_FAILURES` attempts in
 * a row have failed without a word.
 *
 * Owns one timer. Bounds: one ticket, one unanswered call, at least `MIN_REST_MS` between calls.
 */
import { elapsed, momentNow } from './moment.js';
import { encodeCall, isUnknownProcedure } from './wamp.js';

/** Prefix of the subprotocol that carries the ticket. A URL would stand in the access logs of proxies. */
const TICKET_PROTOCOL = 'orosync.ticket.';

const CALL_ID = 'orosync-resume';
export const CALL = encodeCall(CALL_ID, 'orosync/resume', []);

/** Lifetime where the answer states none: the server's default (`auth.resume_seconds`). */
const DEFAULT_SECONDS = 300;

/** `setTimeout` overflows after 24 days, and would then fire at once. */
const MAX_SECONDS = 24 * 60 * 60;

const MIN_REST_MS = 1_000;

/**
 * Attempts in a row with one ticket that end without a close code, before PHP is asked. Most often the server is away, and PHP
 * cannot help; but an older server refuses the ticket with a status that browsers hide, and a proxy may refuse the subprotocol,
 * again and again. By then the backoff has spread the pages over several seconds, so they do not ask PHP all at once.
 */
export const MAX_FAILURES = 3;

/**
 * A renewal follows after a random part of the ticket's lifetime in this range: jitter, so that pages that came back together
 * do not renew together. The remainder covers hidden tabs, whose timers fire up to a minute late.
 */
const EARLIEST = 0.5;
const LATEST = 0.7;

/** @typedef {import('./moment.js').Moment} Moment */
/**
 * @typedef {{ ticket: string, since: Moment, lifetime: number, failures: number }} Kept  `lifetime` in milliseconds; `failures`:
 *   attempts in a row that ended without a close code
 */
/** @typedef {{ name: 'stopped' }} Stopped */
/** @typedef {{ name: 'asked', since: Moment }} Asked */
/** @typedef {{ name: 'resting', since: Moment, rest: number, timer: ReturnType<typeof setTimeout> }} Resting */

/**
 * @typedef {object} ResumeHandlers
 * @property {() => void} ask sends `CALL`
 * @property {(positions: Record<string, string>) => void} onPositions the position of each topic that recovers
 * @property {() => void} onUnknown the server does not know the procedure, nor the tickets
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

  /** Asks for the ticket of the session that has opened, and renews it until `stop()`. */
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

  /** Renews if that is overdue: the page was frozen, or the machine slept. */
  look() {
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

  /** The ticket for the next attempt; null: PHP has to be asked for one. */
  take() {
    if (this.#kept !== null && elapsed(this.#kept.since, momentNow()) >= this.#kept.lifetime) {
      this.forget();
    }
    return this.#kept?.ticket ?? null;
  }

  /** An attempt with the ticket has failed. @param {boolean} isUnexplained there was no close code */
  failed(isUnexplained) {
    if (this.#kept !== null) {
      this.#kept.failures = isUnexplained ? this.#kept.failures + 1 : 0;
      if (this.#kept.failures === MAX_FAILURES) {
        this.forget();
      }
    }
  }

  /** Throws the ticket away: the next attempt needs one of PHP. */
  forget() {
    this.#kept = null;
  }

  #ask() {
    this.#state = { name: 'asked', since: momentNow() };
    this.#handlers.ask();
  }

  /** @param {unknown} answer @param {Moment} since when it was asked for: the ticket was minted after that */
  #answered(answer, since) {
    const { ticket, seconds, positions } = /** @type {Record<string, unknown>} */ (isObject(answer) ? answer : {});
    const lifetime = 1_000 * (typeof seconds === 'number' && seconds > 0 ? Math.min(seconds, MAX_SECONDS) : DEFAULT_SECONDS);
    this.#kept = isTicket(ticket) ? { ticket, since, lifetime, failures: 0 } : null;
    this.#rest(lifetime, since);
    const entries = Object.entries(isObject(positions) ? positions : {});
    this.#handlers.onPositions(Object.fromEntries(entries.filter(([, position]) => typeof position === 'string')));
  }

  /** The call did not succeed: once more while the ticket that is kept is good. */
  #failed() {
    const now = momentNow();
    const remaining = this.#kept === null ? 0 : this.#kept.lifetime - elapsed(this.#kept.since, now);
    this.#rest(remaining > 0 ? remaining : DEFAULT_SECONDS * 1_000, now);
  }

  /** @param {number} lifetime of the answer, in milliseconds @param {Moment} since */
  #rest(lifetime, since) {
    const part = EARLIEST + this.#random() * (LATEST - EARLIEST);
    const rest = Math.max(MIN_REST_MS, Math.round(lifetime * part));
    this.#state = { name: 'resting', since, rest, timer: setTimeout(() => this.#ask(), rest) };
  }
}

/** The subprotocol that carries the ticket. @type {(ticket: string) => string} */
export const ticketProtocol = (ticket) => TICKET_PROTOCOL + ticket;

/**
 * Checks that it can be a subprotocol: the constructor of `WebSocket` throws on anything else.
 *
 * @param {unknown} value
 * @returns {value is string}
 */
function isTicket(value) {
  return typeof value === 'string' && /^[\w.-]+$/.test(value);
}

/** @type {(value: unknown) => value is object} */
const isObject = (value) => typeof value === 'object' && value !== null;
