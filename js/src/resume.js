/**
 * The resume ticket: what a session is given for its own next connection, so that coming back costs PHP nothing.
 *
 *            opened()          answer
 *   stopped ──────────▶ asked ────────▶ resting ──▶ asked …   at about 60 % of the ticket's time, or when looked at after it
 *      ▲                  │                │
 *      └──────────────────┴────────────────┘  stop(); or the server does not know the procedure
 *
 * Each answer also carries the session's positions, so renewals go on where the server gives no ticket. The ticket is kept in
 * memory alone, and outlives the session that it was given to.
 *
 * A ticket opens one connection. An attempt that does not open tells a browser nothing: the ticket may have been refused, or
 * the server may be away, and then the ticket is as good as before. So the attempts after it alternate: PHP, the kept ticket,
 * PHP, ..., until a connection opens or the ticket has ended.
 *
 * Owns one timer. Bounds: one call without an answer, one ticket; `MIN_REST_MS` between calls, whatever the server says.
 */
import { elapsed, momentNow } from './moment.js';
import { encodeCall } from './wamp.js';

/** What a resume ticket is offered as, among the subprotocols: not in the URL, which proxies log. */
const TICKET_PROTOCOL = 'orosync.ticket.';

const CALL_ID = 'orosync-resume';
export const CALL = encodeCall(CALL_ID, 'orosync/resume', []);

/** Where an answer does not say for how long it holds. The server's default (`auth.resume_seconds`). */
const DEFAULT_SECONDS = 300;

/** A timer takes no more than 24 days. */
const MAX_SECONDS = 24 * 60 * 60;

const MIN_REST_MS = 1_000;

/**
 * A renewal follows after a part of the ticket's time in this range, at random: pages that came back together do not renew
 * together. The rest of the time is for a hidden tab, whose timers run up to a minute late.
 */
const EARLIEST = 0.5;
const LATEST = 0.7;

/** @typedef {import('./moment.js').Moment} Moment */
/** @typedef {{ ticket: string, since: Moment, lifetime: number }} Kept  `lifetime` in milliseconds */
/** @typedef {{ name: 'stopped' }} Stopped */
/** @typedef {{ name: 'asked', since: Moment }} Asked */
/** @typedef {{ name: 'resting', since: Moment, rest: number, timer: ReturnType<typeof setTimeout> }} Resting */

/**
 * @typedef {object} ResumeHandlers
 * @property {() => void} ask sends `CALL`
 * @property {(positions: Record<string, string>) => void} onPositions the position of each topic that recovers
 */

export class Resume {
  #handlers;
  #random;
  /** @type {Stopped | Asked | Resting} */
  #state = { name: 'stopped' };
  /** @type {Kept | null} */
  #kept = null;
  /** Whether the last attempt was made with the kept ticket. */
  #isTried = false;
  /** Whether PHP was asked at once, without the backoff's delay, since a connection was open. */
  #hasHurried = false;

  /** @param {ResumeHandlers} handlers @param {() => number} random 0 to 1 */
  constructor(handlers, random) {
    this.#handlers = handlers;
    this.#random = random;
  }

  /** A connection has opened: what is kept was used, or was for coming back to an earlier session. */
  opened() {
    this.forget();
    this.#hasHurried = false;
  }

  /** The session understands procedures of the server: asks for its ticket, and renews that until `stop()`. */
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

  /** The page was stopped, or its timers were late: renews if it is time to. */
  look() {
    if (this.#state.name === 'resting' && elapsed(this.#state.since, momentNow()) >= this.#state.rest) {
      clearTimeout(this.#state.timer);
      this.#ask();
    }
  }

  /**
   * @param {import('./wamp.js').SessionMessage} message
   * @returns {boolean} whether it was the answer to `CALL`, and nobody else's business
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
      } else {
        this.#rest(DEFAULT_SECONDS, since);
      }
    }
    return true;
  }

  /** The ticket to make the next attempt with; null: it is to be made with one of PHP. */
  take() {
    if (this.#kept !== null && elapsed(this.#kept.since, momentNow()) >= this.#kept.lifetime) {
      this.forget();
    }
    this.#isTried = this.#kept !== null && !this.#isTried;
    return this.#isTried ? (this.#kept?.ticket ?? null) : null;
  }

  /** After an attempt that looks as if the ticket was refused: whether PHP may be asked at once. True once for each loss. */
  mayHurry() {
    const mayHurry = !this.#hasHurried;
    this.#hasHurried = true;
    return mayHurry;
  }

  /** The next connection must be by a ticket of PHP. */
  forget() {
    this.#kept = null;
    this.#isTried = false;
  }

  #ask() {
    this.#state = { name: 'asked', since: momentNow() };
    this.#handlers.ask();
  }

  /** @param {unknown} answer @param {Moment} since when it was asked for: the ticket was made later than that */
  #answered(answer, since) {
    const { ticket, seconds, positions } = /** @type {Record<string, unknown>} */ (isObject(answer) ? answer : {});
    const lasts = typeof seconds === 'number' && seconds > 0 ? Math.min(seconds, MAX_SECONDS) : DEFAULT_SECONDS;
    this.#kept = isTicket(ticket) ? { ticket, since, lifetime: lasts * 1_000 } : null;
    this.#rest(lasts, since);
    const entries = Object.entries(isObject(positions) ? positions : {});
    this.#handlers.onPositions(Object.fromEntries(entries.filter(([, position]) => typeof position === 'string')));
  }

  /** @param {number} seconds for how long the answer holds @param {Moment} since */
  #rest(seconds, since) {
    const part = EARLIEST + this.#random() * (LATEST - EARLIEST);
    const rest = Math.max(MIN_REST_MS, Math.round(seconds * 1_000 * part));
    this.#state = { name: 'resting', since, rest, timer: setTimeout(() => this.#ask(), rest) };
  }
}

/** The subprotocol that carries the ticket. @type {(ticket: string) => string} */
export const ticketProtocol = (ticket) => TICKET_PROTOCOL + ticket;

/**
 * What a subprotocol cannot hold would throw where the socket is opened.
 *
 * @param {unknown} value
 * @returns {value is string}
 */
function isTicket(value) {
  return typeof value === 'string' && /^[\w.-]+$/.test(value);
}

/** @param {import('./wamp.js').CallErrorMessage} message */
const isUnknownProcedure = ({ details }) => isObject(details) && /** @type {{ code?: unknown }} */ (details).code === 404;

/** @type {(value: unknown) => value is object} */
const isObject = (value) => typeof value === 'object' && value !== null;
