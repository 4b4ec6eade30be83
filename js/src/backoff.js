/**
 * Retry policy: whether and when to reconnect after a socket has ended.
 *
 * Owns the table of close codes as a browser reads it, and the count of consecutive failures. No timer, clock or random source:
 * time and randomness are arguments. Bounds: a retry delay is at least `MIN_DELAY_MS` and at most `2 * LATER_MS`; only the
 * replacement of a connection (`renewed`) may follow at once.
 */

export const MIN_DELAY_MS = 500;
export const MAX_DELAY_MS = 30_000;

/** Delay after close code 1013 (try again later, sent by proxies), in milliseconds: between this and twice this. */
export const LATER_MS = 30_000;

/**
 * A connection that lasted this long resets the backoff. A shorter one counts as a failure even if WELCOME arrived: otherwise
 * clients would hammer a server that accepts and drops every connection at the shortest delay.
 */
export const STABLE_MS = 5_000;

const FIRST_CEILING_MS = 1_000;

const TRY_AGAIN_LATER = 1013;

/** The application has ended the session. The next connection needs a new ticket from PHP, which decides about the identity. */
const NEW_TICKET = 4010;

/**
 * Close codes after which a retry would end the same way: normal close by the server (1000), protocol error (1002), unreadable
 * data (1007), policy violation (1008), message too big (1009), too many messages (4009). All others are retried, such as going
 * away (1001), no Close frame (1006), slow reader (4008) and ended by the application (4010): the ticket decides whether the
 * user may return.
 */
const FINAL_CODES = new Set([1000, 1002, 1007, 1008, 1009, 4009]);

/** @typedef {'soon' | 'later' | 'never'} RetryTiming */

/** When to reconnect after this close code. @type {(code: number) => RetryTiming} */
export function retryTiming(code) {
  if (FINAL_CODES.has(code)) {
    return 'never';
  }
  return code === TRY_AGAIN_LATER ? 'later' : 'soon';
}

/** Whether this close code invalidates the resume ticket. @type {(code: number) => boolean} */
export const needsNewTicket = (code) => code === NEW_TICKET;

/**
 * Delay before the next attempt, in milliseconds: full jitter between `MIN_DELAY_MS` and a ceiling that doubles with each
 * failure, so that the browsers of a restarted server do not all reconnect at the same moment.
 *
 * @param {number} failures consecutive failures, from 1
 * @param {number} random 0 to 1
 */
export function delay(failures, random) {
  const ceiling = Math.min(MAX_DELAY_MS, FIRST_CEILING_MS * 2 ** (failures - 1));
  return MIN_DELAY_MS + random * (ceiling - MIN_DELAY_MS);
}

/** Counts the consecutive failures of one client. Times are milliseconds of a monotonic clock. */
export class Backoff {
  #failures = 0;
  /** Consecutive connections that the client replaced before they had lasted `STABLE_MS`. */
  #renewals = 0;
  /** @type {number | null} */
  #openedAt = null;

  /** @param {number} now */
  opened(now) {
    this.#openedAt = now;
  }

  /**
   * Records the end of an attempt or a connection. Returns the delay before the next attempt, in milliseconds.
   *
   * @param {Exclude<RetryTiming, 'never'>} when
   * @param {number} now
   * @param {number} random 0 to 1
   */
  ended(when, now, random) {
    this.#close(now);
    this.#failures += 1;
    return when === 'later' ? LATER_MS * (1 + random) : delay(this.#failures, random);
  }

  /**
   * Records that the client replaces its connection. Returns the delay before the next attempt, in milliseconds: 0 unless the
   * previous connection was replaced too and this one has not lasted `STABLE_MS`.
   *
   * @param {number} now
   * @param {number} random 0 to 1
   */
  renewed(now, random) {
    this.#close(now);
    this.#renewals += 1;
    return this.#renewals === 1 ? 0 : delay(this.#renewals - 1, random);
  }

  /** Forgets earlier failures: the application has called `connect()`. */
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
