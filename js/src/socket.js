/**
 * Connection state machine: ticket, socket, WELCOME, and reconnecting after each end.
 *
 *           connect()                      ticket                 WELCOME
 *   closed ────────────▶ requesting-ticket ────────▶ connecting ───────────▶ connected
 *                         ▲     ▲     │                  │                       │
 *               connect() │     │     │ no ticket        │ failed                │ ended
 *                         │     │     ▼                  ▼                       ▼
 *   refused ──────────────┘     │     └──────────── when to retry? ──────────────┘
 *      ▲                        │                     │        │
 *      └────────────────────────┼───────── never ─────┘        │ soon, later
 *                               │                              ▼
 *                               └──────────────────────── backing-off
 *                                 delay over, connect(); online, visible unless "later"
 *
 *   With a resume ticket: connecting instead of requesting-ticket. If the server rejects it: backing-off without a delay, then
 *   requesting-ticket.
 *
 *   renew() from connected: backing-off; without a delay, unless the previous connection was renewed too. A session that was
 *   opened with a resume ticket renews itself if the server does not know such tickets: it accepted the page as anonymous.
 *
 *   close() from any state: closed. pagehide from any state but closed and refused: suspended. pageshow or connect() from
 *   suspended: a new attempt.
 *
 * Owns the socket, the timer of the current state, the heartbeat, the resume ticket and the page listeners; `close()` ends all
 * of them. Bounds: one time limit for the ticket request, and the same from the ticket to WELCOME. Knows nothing of
 * subscriptions and calls.
 */
import { Backoff, retryTiming, needsNewTicket } from './backoff.js';
import { report } from './callbacks.js';
import { Heartbeat } from './heartbeat.js';
import { momentNow } from './moment.js';
import { CALL, Resume, ticketProtocol } from './resume.js';
import { TicketRefusedError, withParallelRetries } from './ticket.js';
import { SUBPROTOCOLS, decode, encodeCall } from './wamp.js';

/** High-water mark of the send buffer, in bytes. Above it `send` refuses. */
const MAX_BUFFERED_BYTES = 1024 * 1024;

/** Calls a procedure that does nothing. An "unknown procedure" error of another server is an answer too. */
const PING = encodeCall('orosync-heartbeat', 'orosync/ping', []);

const NO_SOCKET = 0;
const NORMAL_CLOSE = 1000;
const NO_CLOSE_FRAME = 1006;

/** @typedef {ReturnType<typeof setTimeout>} Timer */
/** @typedef {{ name: 'closed' }} Closed  nothing runs: the initial state, and the state after `close()` */
/** @typedef {{ name: 'requesting-ticket', abort: AbortController, limit: Timer }} RequestingTicket  waits for the ticket */
/**
 * @typedef {{ name: 'connecting', socket: WebSocket, limit: Timer, resumption: Resumption | null }} Connecting  the
 *   socket is opening, or waits for WELCOME
 */
/** @typedef {{ ticket: string, isAfterTimeout: boolean }} Resumption  an attempt with a resume ticket */
/**
 * @typedef {{ name: 'connected', socket: WebSocket, sessionId: string, isResumed: boolean }} Connected `isResumed`: opened with
 *   a resume ticket
 */
/**
 * @typedef {{ name: 'backing-off', timer: Timer, mayRetryNow: boolean, isAfterTimeout: boolean, isRenewal: boolean }} BackingOff
 *   waits for the next attempt. `mayRetryNow`: whether an event such as `online` may start it early; false after close code
 *   1013. `isAfterTimeout`: the heartbeat timed out. `isRenewal`: a working connection was ended for a new ticket
 */
/** @typedef {{ name: 'refused' }} Refused  retrying would not help; only `connect()` leaves this state */
/** @typedef {{ name: 'suspended' }} Suspended  the page is in the back/forward cache or is being unloaded */
/** @typedef {Closed | RequestingTicket | Connecting | Connected | BackingOff | Refused | Suspended} State */
/** @typedef {State['name']} StateName */

/**
 * The end of a connection, or a failed attempt.
 *
 * @typedef {object} Ended
 * @property {number} code WebSocket close code; 1006: no Close frame; 0: ended before a socket was created
 * @property {string} reason a sentence for developers
 * @property {boolean} willRetry
 * @property {number | null} delay milliseconds until the next attempt; null: none planned
 */

/**
 * @typedef {object} SocketSettings
 * @property {() => URL} url called before each attempt
 * @property {import('./ticket.js').Tickets} ticket
 * @property {number} connectTimeoutMs
 * @property {typeof globalThis.WebSocket} WebSocket
 * @property {() => number} random 0 to 1
 */

/**
 * @typedef {object} SocketHandlers
 * @property {(name: StateName) => void} onState
 * @property {(sessionId: string) => void} onOpen
 * @property {(message: import('./wamp.js').SessionMessage) => void} onMessage
 * @property {(positions: Record<string, string>) => void} onPositions positions of the topics with recovery: all events up to
 *   them have arrived
 * @property {(ended: Ended) => void} onEnd
 */

export class Socket {
  #settings;
  #handlers;
  #backoff = new Backoff();
  #heartbeat;
  #resume;
  /** @type {State} */
  #state = { name: 'closed' };
  /** Removes the page listeners. @type {AbortController | null} */
  #listening = null;
  /** When the last socket opened, which is after the server's 101. */
  openedAt = momentNow();

  /**
   * @param {SocketSettings} settings
   * @param {SocketHandlers} handlers
   */
  constructor(settings, handlers) {
    this.#settings = settings;
    this.#handlers = handlers;
    this.#heartbeat = new Heartbeat(
      { ping: () => this.#sendAtOnce(PING), unsent: () => this.#unsent(), lost: () => this.#lost() },
      settings.random,
    );
    this.#resume = new Resume(
      {
        request: () => this.#sendAtOnce(CALL),
        onPositions: (positions) => handlers.onPositions(positions),
        onUnknown: () => this.#cannotResume(),
      },
      settings.random,
    );
  }

  /** @type {StateName} */
  get state() {
    return this.#state.name;
  }

  /** @type {string | null} */
  get sessionId() {
    return this.#state.name === 'connected' ? this.#state.sessionId : null;
  }

  /** Whether the client ended its connection for a new ticket, and the next attempt has not started. */
  get isRenewing() {
    return this.#state.name === 'backing-off' && this.#state.isRenewal;
  }

  /**
   * Starts an attempt, immediately if the client is waiting for the next one. Does nothing during an attempt or a connection.
   */
  connect() {
    switch (this.#state.name) {
      case 'closed':
      case 'refused':
        this.#backoff.reset();
        this.#listen();
        this.#attempt();
        break;
      case 'backing-off':
      case 'suspended':
        this.#attempt();
        break;
      case 'requesting-ticket':
      case 'connecting':
      case 'connected':
        break;
    }
  }

  close() {
    if (this.#state.name === 'closed') {
      return;
    }
    this.#unlisten();
    this.#resume.forget();
    this.#end({ name: 'closed' }, { code: NORMAL_CLOSE, reason: 'closed by this page', willRetry: false, delay: null });
  }

  /**
   * Replaces an open connection by one with a new ticket from PHP: the first time without delay, then with backoff.
   *
   * @param {string} reason
   */
  renew(reason) {
    this.#resume.forget();
    this.#replace(reason, true);
  }

  /**
   * @param {string} text
   * @returns {boolean} false: not connected, or the send buffer is full
   */
  send(text) {
    if (this.#state.name !== 'connected' || this.#state.socket.bufferedAmount > MAX_BUFFERED_BYTES) {
      return false;
    }
    this.#state.socket.send(text);
    return true;
  }

  #attempt() {
    const isAfterTimeout = this.#state.name === 'backing-off' && this.#state.isAfterTimeout;
    const resumeTicket = this.#resume.ticket();
    if (resumeTicket !== null) {
      this.#openSocket(null, { ticket: resumeTicket, isAfterTimeout });
      return;
    }
    this.#release();
    const { connectTimeoutMs } = this.#settings;
    const ticket = isAfterTimeout ? withParallelRetries(this.#settings.ticket) : this.#settings.ticket;
    const abort = new AbortController();
    const limit = setTimeout(
      () => this.#failed(NO_SOCKET, `no ticket within ${connectTimeoutMs} ms`, 'soon'),
      connectTimeoutMs,
    );
    /** @type {RequestingTicket} */
    const requesting = { name: 'requesting-ticket', abort, limit };
    this.#enter(requesting);
    if (this.#state !== requesting) {
      return; // a handler has called close()
    }
    ticket(abort.signal).then(
      (value) => {
        if (this.#state === requesting) {
          this.#openSocket(value, null);
        }
      },
      (error) => {
        if (this.#state === requesting) {
          this.#failed(NO_SOCKET, messageOf(error), error instanceof TicketRefusedError ? 'never' : 'soon');
        }
      },
    );
  }

  /** @param {string | null} ticket issued by PHP @param {Resumption | null} resumption */
  #openSocket(ticket, resumption) {
    const { url, connectTimeoutMs } = this.#settings;
    /** @type {WebSocket} */
    let socket;
    try {
      socket = resumption === null
        ? new this.#settings.WebSocket(withTicket(url(), ticket), SUBPROTOCOLS)
        : new this.#settings.WebSocket(url().href, [...SUBPROTOCOLS, ticketProtocol(resumption.ticket)]);
    } catch (error) {
      // For example a ws:// address on an https:// page: a retry would fail too.
      this.#failed(NO_SOCKET, messageOf(error), 'never');
      return;
    }
    this.#release();
    const limit = setTimeout(
      () => this.#failed(NO_CLOSE_FRAME, `not connected within ${connectTimeoutMs} ms`, 'soon'),
      connectTimeoutMs,
    );
    socket.addEventListener('open', () => {
      this.openedAt = momentNow();
    });
    socket.addEventListener('message', ({ data }) => this.#received(socket, data));
    socket.addEventListener('close', ({ code, reason }) => {
      if (this.#isCurrent(socket)) {
        if (needsNewTicket(code)) {
          this.#resume.forget();
        }
        this.#failed(code, reason === '' ? this.#reasonFor(code) : reason, retryTiming(code));
      }
    });
    // A close event with the reason follows each error event. Without a listener some runtimes report the error as uncaught.
    socket.addEventListener('error', () => {});
    this.#enter({ name: 'connecting', socket, limit, resumption });
  }

  /**
   * @param {WebSocket} socket
   * @param {unknown} data
   */
  #received(socket, data) {
    if (!this.#isCurrent(socket)) {
      return;
    }
    if (this.#state.name === 'connected') {
      this.#heartbeat.received();
    }
    let message;
    try {
      message = decode(data);
    } catch (error) {
      report(error);
      return;
    }
    if (this.#state.name === 'connecting' && message.type === 'welcome') {
      clearTimeout(this.#state.limit);
      this.#backoff.opened(performance.now());
      this.#heartbeat.received();
      this.#resume.forget(); // used for this connection, or issued to an earlier session
      this.#enter({ name: 'connected', socket, sessionId: message.sessionId, isResumed: this.#state.resumption !== null });
      if (this.#isCurrent(socket)) {
        this.#handlers.onOpen(message.sessionId);
      }
      // After the subscriptions, because the answer contains their positions. A server that chose `wamp` may be another
      // product.
      if (this.#isCurrent(socket) && socket.protocol === SUBPROTOCOLS[0]) {
        this.#resume.start();
      }
    } else if (this.#state.name === 'connected' && message.type !== 'welcome' && !this.#resume.received(message)) {
      this.#handlers.onMessage(message);
    }
  }

  /** Renews the connection if the server ignored its resume ticket, so that the session has no identity. */
  #cannotResume() {
    if (this.#state.name === 'connected' && this.#state.isResumed) {
      this.renew('the server does not know resume tickets');
    }
  }

  /**
   * Ends an open connection and schedules the next one: the first time without delay, then with backoff.
   *
   * @param {string} reason
   * @param {boolean} isRenewal
   */
  #replace(reason, isRenewal) {
    if (this.#state.name === 'connected') {
      const wait = this.#backoff.renewed(performance.now(), this.#settings.random());
      const timer = setTimeout(() => this.#attempt(), wait);
      const ended = { code: NORMAL_CLOSE, reason, willRetry: true, delay: wait };
      this.#end({ name: 'backing-off', timer, mayRetryNow: true, isAfterTimeout: false, isRenewal }, ended);
    }
  }

  /**
   * @param {number} code
   * @param {string} reason
   * @param {import('./backoff.js').RetryTiming} when
   */
  #failed(code, reason, when) {
    if (when === 'never') {
      this.#unlisten();
      this.#resume.forget();
      this.#end({ name: 'refused' }, { code, reason, willRetry: false, delay: null });
      return;
    }
    const resumption = this.#state.name === 'connecting' ? this.#state.resumption : null;
    if (resumption !== null) {
      this.#resume.failed(code === NO_CLOSE_FRAME);
    }
    const isRefused = resumption !== null && needsNewTicket(code);
    const delay = isRefused ? 0 : this.#backoff.ended(when, performance.now(), this.#settings.random());
    const timer = setTimeout(() => this.#attempt(), delay);
    const isAfterTimeout = resumption?.isAfterTimeout === true;
    const ended = { code, reason, willRetry: true, delay };
    this.#end({ name: 'backing-off', timer, mayRetryNow: when === 'soon', isAfterTimeout, isRenewal: false }, ended);
  }

  #suspend() {
    if (this.#state.name !== 'suspended') {
      this.#end({ name: 'suspended' }, { code: NORMAL_CLOSE, reason: 'the page was left', willRetry: true, delay: null });
    }
  }

  /** Reacts to `online` and a visible page: retries now, and checks that an open connection still works. */
  #check() {
    if (this.#state.name === 'backing-off' && this.#state.mayRetryNow) {
      this.#attempt();
    }
    this.#resume.renewIfOverdue();
    this.#heartbeat.check();
  }

  /** Sends regardless of the high-water mark. @param {string} text */
  #sendAtOnce(text) {
    if (this.#state.name === 'connected') {
      this.#state.socket.send(text);
    }
  }

  #unsent() {
    return this.#state.name === 'connected' ? this.#state.socket.bufferedAmount : 0;
  }

  /** Reconnects without delay after a heartbeat timeout. Pages of the same server time out at different moments. */
  #lost() {
    this.#backoff.ended('soon', performance.now(), this.#settings.random());
    const timer = setTimeout(() => this.#attempt(), 0);
    const ended = { code: NO_CLOSE_FRAME, reason: 'the server does not answer', willRetry: true, delay: 0 };
    this.#end({ name: 'backing-off', timer, mayRetryNow: true, isAfterTimeout: true, isRenewal: false }, ended);
  }

  /**
   * Leaves the current state. Reports the end only if there was an attempt or a connection.
   *
   * @param {State} next
   * @param {Ended} ended
   */
  #end(next, ended) {
    const { name } = this.#state;
    this.#release();
    this.#enter(next);
    if (name === 'requesting-ticket' || name === 'connecting' || name === 'connected') {
      this.#handlers.onEnd(ended);
    }
  }

  /** Releases the resources of the current state. */
  #release() {
    const state = this.#state;
    switch (state.name) {
      case 'requesting-ticket':
        clearTimeout(state.limit);
        state.abort.abort();
        break;
      case 'connecting':
        clearTimeout(state.limit);
        state.socket.close(NORMAL_CLOSE);
        break;
      case 'connected':
        this.#heartbeat.stop();
        this.#resume.stop();
        state.socket.close(NORMAL_CLOSE);
        break;
      case 'backing-off':
        clearTimeout(state.timer);
        break;
      case 'closed':
      case 'refused':
      case 'suspended':
        break;
    }
  }

  /** @param {State} next */
  #enter(next) {
    this.#state = next;
    this.#handlers.onState(next.name);
  }

  /** Whether this is the current socket: an old one may still dispatch events. @param {WebSocket} socket */
  #isCurrent(socket) {
    return (this.#state.name === 'connecting' || this.#state.name === 'connected') && this.#state.socket === socket;
  }

  /** @param {number} code */
  #reasonFor(code) {
    if (code !== NO_CLOSE_FRAME) {
      return `closed with code ${code}`;
    }
    return this.#state.name === 'connected'
      ? 'the connection was lost'
      : 'the server cannot be reached, or has rejected the ticket';
  }

  #listen() {
    this.#listening = new AbortController();
    const { signal } = this.#listening;
    // Neither exists outside a browser; a worker has no `document`.
    globalThis.window?.addEventListener('online', () => this.#check(), { signal });
    globalThis.window?.addEventListener('pagehide', () => this.#suspend(), { signal });
    globalThis.window?.addEventListener(
      'pageshow',
      ({ persisted }) => {
        if (persisted && this.#state.name === 'suspended') {
          this.#attempt();
        } else if (persisted) {
          // The browser reports the socket as open, but messages that arrived meanwhile are lost.
          this.#replace('the page came out of the back/forward cache', false);
          this.#check();
        }
      },
      { signal },
    );
    globalThis.document?.addEventListener(
      'visibilitychange',
      () => {
        if (document.visibilityState === 'visible') {
          this.#check();
        }
      },
      { signal },
    );
  }

  #unlisten() {
    this.#listening?.abort();
    this.#listening = null;
  }
}

/**
 * @param {URL} url
 * @param {string | null} ticket
 */
function withTicket(url, ticket) {
  if (ticket === null) {
    return url.href;
  }
  const separator = url.search === '' ? '?' : '&';
  return `${url.href}${separator}ticket=${encodeURIComponent(ticket)}`;
}

/** @type {(error: unknown) => string} */
const messageOf = (error) => (error instanceof Error ? error.message : String(error));
