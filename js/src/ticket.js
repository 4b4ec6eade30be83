/**
 * Tickets of the application. A ticket opens one connection, so each attempt without a resume ticket (`resume.js`) requests a
 * new one.
 *
 * Owns the request to the application's ticket endpoint. The caller sets the time limit through the abort signal.
 */

/**
 * Answer of a ticket endpoint. `dependsOnTopics`: the ticket grants topics of this request, so subscribing to others needs
 * another ticket. `now`: PHP's time, in milliseconds since 1970.
 *
 * @typedef {{ ticket: string, dependsOnTopics?: boolean, now?: number }} TicketAnswer
 */

/**
 * Requests a ticket for the given topics; `null`: connect without a ticket. Rejects with `TicketRefusedError` if a retry cannot
 * help.
 *
 * @typedef {(signal: AbortSignal, topics: string[]) => Promise<string | TicketAnswer | null>} TicketSource
 */

/** The ticket of one attempt. @typedef {(signal: AbortSignal) => Promise<string | null>} Tickets */

/** @typedef {Record<string, string>} Headers */

/**
 * The user gets no ticket: not logged in, or not allowed. The client stops until `connect()` is called. The application's own
 * `ticket` function may throw it too.
 */
export class TicketRefusedError extends Error {
  name = 'TicketRefusedError';
}

/** Browsers keep up to six HTTP/1.1 connections per host. */
const KEPT_CONNECTIONS = 6;
const ATTEMPT_MS = 400;
const TIMED_OUT = Symbol('timed out');

/** @type {TicketSource} */
export const withoutTicket = async () => null;

/** Wraps the application's own function and checks its result. @type {(source: TicketSource) => TicketSource} */
export const ticketsBy = (source) => async (signal, topics) => {
  const answer = await source(signal, topics);
  const ticket = typeof answer === 'object' && answer !== null ? answer.ticket : answer;
  if (ticket !== null && (typeof ticket !== 'string' || ticket === '')) {
    throw new Error(`the ticket function returned ${JSON.stringify(answer)}; it must return a ticket, or null for none`);
  }
  return answer;
};

/**
 * A source that sends a POST request to the ticket endpoint, which answers `{"ticket": "..."}`. The body is
 * `{"topics": [...]}`, or empty without topics.
 *
 * @param {string} url
 * @param {Headers | (() => Headers)} headers further headers, e.g. for CSRF; a function is called before each request
 * @returns {TicketSource}
 */
export const ticketsFrom = (url, headers) => async (signal, topics) => {
  const response = await fetch(url, {
    method: 'POST',
    credentials: 'same-origin',
    cache: 'no-store',
    // Otherwise the login page behind a redirect would be taken as the answer.
    redirect: 'manual',
    headers: {
      Accept: 'application/json',
      'X-Requested-With': 'XMLHttpRequest',
      ...(topics.length > 0 ? { 'Content-Type': 'application/json' } : {}),
      ...(typeof headers === 'function' ? headers() : headers),
    },
    body: topics.length > 0 ? JSON.stringify({ topics }) : null,
    signal,
  });
  if (isRedirect(response)) {
    throw new TicketRefusedError(`the ticket endpoint ${url} answered with a redirect, probably to a login page`);
  }
  if (response.status === 401 || response.status === 403) {
    throw new TicketRefusedError(`the ticket endpoint ${url} answered ${response.status}: this user gets no ticket`);
  }
  if (!response.ok) {
    throw new Error(`the ticket endpoint ${url} answered ${response.status}`);
  }
  return answerIn(await response.text(), url);
};

/**
 * Wraps a source for use after a heartbeat timeout. The HTTP connections that the browser keeps may be dead too, and the
 * browser drops one only when a request on it is aborted. So one request gets `ATTEMPT_MS`, then as many as there can be dead
 * connections get it in parallel; the last request uses a new connection and gets the remaining time.
 *
 * @type {(source: Tickets) => Tickets}
 */
export const withParallelRetries = (source) => async (signal) => {
  for (const requests of [1, KEPT_CONNECTIONS - 1]) {
    const ticket = await race(requests, source, signal);
    if (ticket !== TIMED_OUT) {
      return ticket;
    }
  }
  return source(signal);
};

/**
 * @param {number} requests sent in parallel; aborted after the first answer, or after `ATTEMPT_MS`
 * @param {Tickets} source
 * @param {AbortSignal} signal
 * @returns {Promise<string | null | typeof TIMED_OUT>}
 */
async function race(requests, source, signal) {
  const abort = new AbortController();
  const stop = () => abort.abort();
  signal.addEventListener('abort', stop);
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let limit;
  /** @type {Promise<typeof TIMED_OUT>} */
  const timeout = new Promise((resolve) => {
    limit = setTimeout(() => resolve(TIMED_OUT), ATTEMPT_MS);
  });
  try {
    return await Promise.race([...Array.from({ length: requests }, () => source(abort.signal)), timeout]);
  } finally {
    clearTimeout(limit);
    signal.removeEventListener('abort', stop);
    stop();
  }
}

/**
 * Whether the response is a redirect. Browsers hide its status (0, type "opaqueredirect"); other runtimes show it.
 *
 * @type {(response: Response) => boolean}
 */
const isRedirect = ({ type, status }) => type === 'opaqueredirect' || (status >= 300 && status < 400);

/**
 * @param {string} body
 * @param {string} url
 * @returns {TicketAnswer}
 */
function answerIn(body, url) {
  /** @type {unknown} */
  let answer;
  try {
    answer = JSON.parse(body);
  } catch (cause) {
    throw new Error(`the ticket endpoint ${url} did not answer with JSON`, { cause });
  }
  const { ticket, dependsOnTopics, now } = /** @type {Record<string, unknown>} */ (
    typeof answer === 'object' && answer !== null ? answer : {}
  );
  if (typeof ticket !== 'string' || ticket === '') {
    throw new Error(`the ticket endpoint ${url} answered JSON without a "ticket"`);
  }
  return { ticket, dependsOnTopics: dependsOnTopics === true, ...(typeof now === 'number' ? { now } : {}) };
}
