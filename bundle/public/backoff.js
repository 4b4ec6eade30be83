/**
 * Whether and when to come back after a socket has ended.
 *
 * Owns the table of close codes as a browser reads it, and the number of failures in a row. No timer, no clock, no
 * randomness: time and chance are arguments. Bound: no delay is below `MIN_DELAY_MS` or above `LATER_MS` twice.
 */

export const MIN_DELAY_MS = 500;
export const MAX_DELAY_MS = 30_000;

/** After 1013 ("try again later"): at least this, at most twice this. */
export const LATER_MS = 30_000;

/**
 * A connection that lived this long was a good one. One that did not counts as a failure, although it was greeted:
 * otherwise a server that takes and drops everybody would be hammered at the shortest delay.
 */
export const STABLE_MS = 5_000;

const FIRST_CEILING_MS = 1_000;

const TRY_AGAIN_LATER = 1013;

/** The application has ended the session: who it is for is what a new ticket of PHP says. */
const NEW_TICKET = 4010;

/**
 * Close codes after which a new connection would end the same way: a server's normal close (1000), a protocol error (1002),
 * unreadable data (1007), policy (1008), a message that is too big (1009), too many messages (4009). After all others (1001
 * going away, 1006 no Close frame, 4008 too slow a reader, 4010 ended by the application, ...) coming back is right: who may come
 * back is what the ticket says, of PHP or of the server.
 */
const FINAL_CODES = new Set([1000, 1002, 1007, 1008, 1009, 4009]);

/** @typedef {'soon' | 'later' | 'never'} ComeBack */

/** @type {(code: number) => ComeBack} */
export function comeBack(code) {
  if (FINAL_CODES.has(code)) {
    return 'never';
  }
  return code === TRY_AGAIN_LATER ? 'later' : 'soon';
}

/** Whether what the server has given for the next connection no longer holds. @type {(code: number) => boolean} */
export const needsNewTicket = (code) => code === NEW_TICKET;

/**
 * Delay before the next attempt after `failures` in a row (1, 2, ...), in milliseconds. Spread over all that lies between the
 * least delay and a ceiling that doubles: when a server restarts, its browsers must not return in the same instant.
 *
 * @param {number} failures
 * @param {number} random 0 to 1
 */
export function delay(failures, random) {
  const ceiling = Math.min(MAX_DELAY_MS, FIRST_CEILING_MS * 2 ** (failures - 1));
  return MIN_DELAY_MS + random * (ceiling - MIN_DELAY_MS);
}

/** The failures in a row of one client. Times are milliseconds of one monotonic clock. */
export class Backoff {
  #failures = 0;
  /** Connections in a row that were ended for another one before they had lasted. */
  #renewals = 0;
  /** @type {number | null} */
  #openedAt = null;

  /** @param {number} now */
  opened(now) {
    this.#openedAt = now;
  }

  /**
   * The attempt or the connection has ended: how long to wait, in milliseconds.
   *
   * @param {Exclude<ComeBack, 'never'>} when
   * @param {number} now
   * @param {number} random 0 to 1
   */
  ended(when, now, random) {
    this.#close(now);
    this.#failures += 1;
    return when === 'later' ? LATER_MS * (1 + random) : delay(this.#failures, random);
  }

  /**
   * The connection is ended for another one: how long to wait, in milliseconds. Not at all, unless that was done to the one
   * before it, and this one has not lasted either.
   *
   * @param {number} now
   * @param {number} random 0 to 1
   */
  renewed(now, random) {
    this.#close(now);
    this.#renewals += 1;
    return this.#renewals === 1 ? 0 : delay(this.#renewals - 1, random);
  }

  /** Somebody asked for a connection anew: what failed before no longer counts. */
  reset() {
    this.#failures = 0;
    this.#renewals = 0;
    this.#openedAt = null;
  }

  /** @param {number} now */
  #close(now) {
    if (this.#openedAt !== null && now - this.#openedAt >= STABLE_MS) {
      this.#failures = 0;
      this.#renewals = 0;
    }
    this.#openedAt = null;
  }
}
