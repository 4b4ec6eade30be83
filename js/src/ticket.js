/**
 * Where the application's tickets come from: one for each attempt that is not made with a resume ticket (`resume.js`), because a
 * ticket opens one connection only.
 *
 * Owns the request to the application's ticket endpoint. The time limit is the caller's: it aborts through the signal.
 */

/**
 * What a ticket endpoint answers. `dependsOnTopics`: the ticket grants some of the topics that it was asked for, so it takes
 * another one to subscribe to others. `now`: the time of its clock, in milliseconds since 1970.
 *
 * @typedef {{ ticket: string, dependsOnTopics?: boolean, now?: number }} TicketAnswer
 */

/**
 * Asks for a ticket, with the topics that the page subscribes to; `null`: connect without one. Rejects with
 * `TicketRefusedError` if asking again cannot help.
 *
 * @typedef {(signal: AbortSignal, topics: string[]) => Promise<string | TicketAnswer | null>} TicketSource
 */

/** The ticket of one attempt. @typedef {(signal: AbortSignal) => Promise<string | null>} Tickets */

/** @typedef {Record<string, string>} Headers */

/**
 * This user gets no ticket: not logged in (any more), or not allowed. The client stops and waits for `connect()`. Thrown by
 * an application's own `ticket` function, it means the same.
 */
export class TicketRefusedError extends Error {
  name = 'TicketRefusedError';
}

/** A browser keeps up to six HTTP/1.1 connections to a host. */
const KEPT_CONNECTIONS = 6;
const TRY_MS = 400;
const LATE = Symbol('late');

/** @type {TicketSource} */
export const withoutTicket = async () => null;

/** A source that is the application's own function. @type {(give: TicketSource) => TicketSource} */
export const ticketsBy = (give) => async (signal, topics) => {
  const given = await give(signal, topics);
  const ticket = typeof given === 'object' && given !== null ? given.ticket : given;
  if (ticket !== null && (typeof ticket !== 'string' || ticket === '')) {
    throw new Error(`the ticket function gave ${JSON.stringify(given)}; it should give a string, or null for no ticket`);
  }
  return given;
};

/**
 * A source that POSTs to the application's ticket endpoint, which answers `{"ticket": "..."}`. The topics are in the body,
 * `{"topics": [...]}`; without any there is no body.
 *
 * @param {string} url
 * @param {Headers | (() => Headers)} headers of the application, e.g. its CSRF header; a function is asked before each request
 * @returns {TicketSource}
 */
export const ticketsFrom = (url, headers) => async (signal, topics) => {
  const response = await fetch(url, {
    method: 'POST',
    credentials: 'same-origin',
    cache: 'no-store',
    // A login page behind a redirect would be read as an answer.
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
 * The same source where packets have vanished: the connections that the browser keeps may be as dead as the one that was
 * lost, and each goes only with a request that was given up. So one request gets little time, then as many at once as can
 * wait on the others; the last, which has a connection of its own, has all the time that is left.
 *
 * @type {(give: Tickets) => Tickets}
 */
export const withTries = (give) => async (signal) => {
  for (const requests of [1, KEPT_CONNECTIONS - 1]) {
    const ticket = await firstOf(requests, give, signal);
    if (ticket !== LATE) {
      return ticket;
    }
  }
  return give(signal);
};

/**
 * @param {number} requests made at once, all given up with the first answer, or after `TRY_MS`
 * @param {Tickets} give
 * @param {AbortSignal} signal
 * @returns {Promise<string | null | typeof LATE>}
 */
async function firstOf(requests, give, signal) {
  const abort = new AbortController();
  const stop = () => abort.abort();
  signal.addEventListener('abort', stop);
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let limit;
  /** @type {Promise<typeof LATE>} */
  const late = new Promise((resolve) => {
    limit = setTimeout(() => resolve(LATE), TRY_MS);
  });
  try {
    return await Promise.race([...Array.from({ length: requests }, () => give(abort.signal)), late]);
  } finally {
    clearTimeout(limit);
    signal.removeEventListener('abort', stop);
    stop();
  }
}

/** Browsers hide a redirect's status (0, type "opaqueredirect"); other runtimes show it. @type {(response: Response) => boolean} */
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
    throw new Error(`the ticket endpoint ${url} answered what is not JSON`, { cause });
  }
  const { ticket, dependsOnTopics, now } = /** @type {Record<string, unknown>} */ (
    typeof answer === 'object' && answer !== null ? answer : {}
  );
  if (typeof ticket !== 'string' || ticket === '') {
    throw new Error(`the ticket endpoint ${url} answered JSON without a "ticket"`);
  }
  return { ticket, dependsOnTopics: dependsOnTopics === true, ...(typeof now === 'number' ? { now } : {}) };
}
