/**
 * One socket after another: from a ticket to WELCOME, and back again after each end.
 *
 *            connect()             ticket              WELCOME
 *   closed ─────────────▶ asking ─────────▶ opening ─────────────▶ open
 *                         ▲  ▲ │               │                    │
 *               connect() │  │ │ no ticket     │ not opened         │ ended
 *                         │  │ ▼               ▼                    ▼
 *   refused ──────────────┘  │ └──────────── come back? ────────────┘
 *      ▲                     │                 │     │
 *      └─────────────────────┼────── never ────┘     │ soon, later
 *                            │                       ▼
 *                            └─────────────────── waiting
 *                              delay over, connect(); online, visible unless "later"
 *
 *   With a resume ticket: opening in place of asking. If the server refuses it: waiting without a delay, then asking.
 *
 *   renew() from open: waiting, without a delay unless that was done a moment ago. So does a session that was opened with a
 *   resume ticket by a server that turns out not to know such tickets: it has let the page in as nobody.
 *
 *   close() from any: closed. pagehide from any but closed and refused: suspended; from there pageshow or connect(): asking.
 *
 * Owns the socket, the timer of the present state, the heartbeat of an open connection, its resume ticket and the listeners on
 * the page; all of them end with `close()`. Bounds: one time limit for the ticket, the same again from there to WELCOME. Does
 * not know what is subscribed or called.
 */
import { Backoff, comeBack, needsNewTicket } from './backoff.js';
import { report } from './callbacks.js';
import { Heartbeat } from './heartbeat.js';
import { momentNow } from './moment.js';
import { CALL, Resume, ticketProtocol } from './resume.js';
import { TicketRefusedError, withTries } from './ticket.js';
import { SUBPROTOCOLS, decode, encodeCall } from './wamp.js';

/** What was sent but not yet taken by the network, in bytes. Beyond it `send` refuses. */
const MAX_BUFFERED_BYTES = 1024 * 1024;

/** A procedure of the server that does nothing. One that does not know it says so, which is an answer too. */
const PING = encodeCall('orosync-heartbeat', 'orosync/ping', []);

const NO_SOCKET = 0;
const NORMAL_CLOSE = 1000;
const NO_CLOSE_FRAME = 1006;

/** @typedef {ReturnType<typeof setTimeout>} Timer */
/** @typedef {{ name: 'closed' }} Closed  nothing runs; the first state, and that after `close()` */
/** @typedef {{ name: 'asking', abort: AbortController, limit: Timer }} Asking  a ticket was asked for */
/**
 * @typedef {{ name: 'opening', socket: WebSocket, limit: Timer, resumption: Resumption | null }} Opening  a socket was opened;
 *   no WELCOME yet
 */
/** @typedef {{ ticket: string, isAfterSilence: boolean }} Resumption  an attempt with a resume ticket */
/** @typedef {{ name: 'open', socket: WebSocket, sessionId: string, isResumed: boolean }} Open  `isResumed`: by a resume ticket */
/**
 * @typedef {{ name: 'waiting', timer: Timer, mayHurry: boolean, isAfterSilence: boolean, isRenewal: boolean }} Waiting  for the
 *   next attempt; `mayHurry`: not if the server has asked to be left alone for a while; `isAfterSilence`: packets have vanished;
 *   `isRenewal`: a good connection was ended for another ticket
 */
/** @typedef {{ name: 'refused' }} Refused  coming back would not help; only `connect()` tries again */
/** @typedef {{ name: 'suspended' }} Suspended  the page is in the back/forward cache, or about to end */
/** @typedef {Closed | Asking | Opening | Open | Waiting | Refused | Suspended} State */
/** @typedef {State['name']} StateName */

/**
 * The end of a connection, or of an attempt that led to none.
 *
 * @typedef {object} Ended
 * @property {number} code WebSocket close code; 1006: no Close frame came; 0: it ended before there was a socket
 * @property {string} reason a sentence for developers
 * @property {boolean} willRetry
 * @property {number | null} delay milliseconds until the next attempt; null: none planned
 */

/**
 * @typedef {object} SocketSettings
 * @property {() => URL} url asked before each attempt
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
 * @property {(positions: Record<string, string>) => void} onPositions of the topics that recover: all up to there has arrived
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
  /** Takes the listeners off the page again. @type {AbortController | null} */
  #listening = null;
  /** When the last socket was opened: after the server's 101. */
  openedAt = momentNow();

  /**
   * @param {SocketSettings} settings
   * @param {SocketHandlers} handlers
   */
  constructor(settings, handlers) {
    this.#settings = settings;
    this.#handlers = handlers;
    this.#heartbeat = new Heartbeat(
      { ask: () => this.#sendAtOnce(PING), unsent: () => this.#unsent(), lost: () => this.#lost() },
      settings.random,
    );
    this.#resume = new Resume(
      {
        ask: () => this.#sendAtOnce(CALL),
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
    return this.#state.name === 'open' ? this.#state.sessionId : null;
  }

  /** Whether an open connection was ended for one with another ticket, and that is not being made yet. */
  get isRenewing() {
    return this.#state.name === 'waiting' && this.#state.isRenewal;
  }

  /** Starts, or tries at once if it is waiting. Does nothing while an attempt or a connection is there. */
  connect() {
    switch (this.#state.name) {
      case 'closed':
      case 'refused':
        this.#backoff.reset();
        this.#listen();
        this.#ask();
        break;
      case 'waiting':
      case 'suspended':
        this.#ask();
        break;
      case 'asking':
      case 'opening':
      case 'open':
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

  /** Ends an open connection for one with another ticket of PHP: at once, but not again and again. @param {string} reason */
  renew(reason) {
    this.#resume.forget();
    this.#replace(reason, true);
  }

  /**
   * @param {string} text
   * @returns {boolean} false: not connected, or too much waits to be sent already
   */
  send(text) {
    if (this.#state.name !== 'open' || this.#state.socket.bufferedAmount > MAX_BUFFERED_BYTES) {
      return false;
    }
    this.#state.socket.send(text);
    return true;
  }

  #ask() {
    const isAfterSilence = this.#state.name === 'waiting' && this.#state.isAfterSilence;
    const kept = this.#resume.take();
    if (kept !== null) {
      this.#open(null, { ticket: kept, isAfterSilence });
      return;
    }
    this.#release();
    const { connectTimeoutMs } = this.#settings;
    const ticket = isAfterSilence ? withTries(this.#settings.ticket) : this.#settings.ticket;
    const abort = new AbortController();
    const limit = setTimeout(
      () => this.#failed(NO_SOCKET, `no ticket within ${connectTimeoutMs} ms`, 'soon'),
      connectTimeoutMs,
    );
    /** @type {Asking} */
    const asking = { name: 'asking', abort, limit };
    this.#enter(asking);
    if (this.#state !== asking) {
      return; // a handler closed it
    }
    ticket(abort.signal).then(
      (value) => {
        if (this.#state === asking) {
          this.#open(value, null);
        }
      },
      (error) => {
        if (this.#state === asking) {
          this.#failed(NO_SOCKET, messageOf(error), error instanceof TicketRefusedError ? 'never' : 'soon');
        }
      },
    );
  }

  /** @param {string | null} ticket of PHP @param {Resumption | null} resumption */
  #open(ticket, resumption) {
    const { url, connectTimeoutMs } = this.#settings;
    /** @type {WebSocket} */
    let socket;
    try {
      socket = resumption === null
        ? new this.#settings.WebSocket(withTicket(url(), ticket), SUBPROTOCOLS)
        : new this.#settings.WebSocket(url().href, [...SUBPROTOCOLS, ticketProtocol(resumption.ticket)]);
    } catch (error) {
      // Such as a ws:// address on an https:// page: no attempt can cure it.
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
      if (this.#isPresent(socket)) {
        if (needsNewTicket(code)) {
          this.#resume.forget();
        }
        this.#failed(code, reason === '' ? this.#reasonFor(code) : reason, comeBack(code));
      }
    });
    // A close event follows each error event and says more. Without a listener some runtimes take it for uncaught.
    socket.addEventListener('error', () => {});
    this.#enter({ name: 'opening', socket, limit, resumption });
  }

  /**
   * @param {WebSocket} socket
   * @param {unknown} data
   */
  #received(socket, data) {
    if (!this.#isPresent(socket)) {
      return;
    }
    if (this.#state.name === 'open') {
      this.#heartbeat.heard();
    }
    let message;
    try {
      message = decode(data);
    } catch (error) {
      report(error);
      return;
    }
    if (this.#state.name === 'opening' && message.type === 'welcome') {
      clearTimeout(this.#state.limit);
      this.#backoff.opened(performance.now());
      this.#heartbeat.heard();
      this.#resume.forget(); // it was used for this connection, or is of an earlier session
      this.#enter({ name: 'open', socket, sessionId: message.sessionId, isResumed: this.#state.resumption !== null });
      if (this.#isPresent(socket)) {
        this.#handlers.onOpen(message.sessionId);
      }
      // After the subscriptions, whose positions are in the answer. A server that chose `wamp` may not be ours.
      if (this.#isPresent(socket) && socket.protocol === SUBPROTOCOLS[0]) {
        this.#resume.start();
      }
    } else if (this.#state.name === 'open' && message.type !== 'welcome' && !this.#resume.received(message)) {
      this.#handlers.onMessage(message);
    }
  }

  /** The server does not know resume tickets: one that it has ignored has told it nothing of who this is. */
  #cannotResume() {
    if (this.#state.name === 'open' && this.#state.isResumed) {
      this.renew('the server does not know resume tickets');
    }
  }

  /**
   * Ends an open connection for another one: at once, but not again and again.
   *
   * @param {string} reason
   * @param {boolean} isRenewal
   */
  #replace(reason, isRenewal) {
    if (this.#state.name === 'open') {
      const wait = this.#backoff.renewed(performance.now(), this.#settings.random());
      const timer = setTimeout(() => this.#ask(), wait);
      const ended = { code: NORMAL_CLOSE, reason, willRetry: true, delay: wait };
      this.#end({ name: 'waiting', timer, mayHurry: true, isAfterSilence: false, isRenewal }, ended);
    }
  }

  /**
   * @param {number} code
   * @param {string} reason
   * @param {import('./backoff.js').ComeBack} when
   */
  #failed(code, reason, when) {
    if (when === 'never') {
      this.#unlisten();
      this.#resume.forget();
      this.#end({ name: 'refused' }, { code, reason, willRetry: false, delay: null });
      return;
    }
    const resumption = this.#state.name === 'opening' ? this.#state.resumption : null;
    if (resumption !== null) {
      this.#resume.failed(code === NO_CLOSE_FRAME);
    }
    const isRefused = resumption !== null && needsNewTicket(code);
    const delay = isRefused ? 0 : this.#backoff.ended(when, performance.now(), this.#settings.random());
    const timer = setTimeout(() => this.#ask(), delay);
    const isAfterSilence = resumption?.isAfterSilence === true;
    const ended = { code, reason, willRetry: true, delay };
    this.#end({ name: 'waiting', timer, mayHurry: when === 'soon', isAfterSilence, isRenewal: false }, ended);
  }

  #suspend() {
    if (this.#state.name !== 'suspended') {
      this.#end({ name: 'suspended' }, { code: NORMAL_CLOSE, reason: 'the page was left', willRetry: true, delay: null });
    }
  }

  /** What kept us from the server may be over, and so may be the path of a connection that looks open. */
  #look() {
    if (this.#state.name === 'waiting' && this.#state.mayHurry) {
      this.#ask();
    }
    this.#resume.look();
    this.#heartbeat.look();
  }

  /** Behind all else that waits to be sent, and whatever its amount. @param {string} text */
  #sendAtOnce(text) {
    if (this.#state.name === 'open') {
      this.#state.socket.send(text);
    }
  }

  #unsent() {
    return this.#state.name === 'open' ? this.#state.socket.bufferedAmount : 0;
  }

  /** Comes back at once: pages that lose the same server have asked it at different times. */
  #lost() {
    this.#backoff.ended('soon', performance.now(), this.#settings.random());
    const timer = setTimeout(() => this.#ask(), 0);
    const ended = { code: NO_CLOSE_FRAME, reason: 'the server does not answer', willRetry: true, delay: 0 };
    this.#end({ name: 'waiting', timer, mayHurry: true, isAfterSilence: true, isRenewal: false }, ended);
  }

  /**
   * Leaves the present state; says that something ended only if something was there.
   *
   * @param {State} next
   * @param {Ended} ended
   */
  #end(next, ended) {
    const { name } = this.#state;
    this.#release();
    this.#enter(next);
    if (name === 'asking' || name === 'opening' || name === 'open') {
      this.#handlers.onEnd(ended);
    }
  }

  /** Ends what the present state holds. */
  #release() {
    const state = this.#state;
    switch (state.name) {
      case 'asking':
        clearTimeout(state.limit);
        state.abort.abort();
        break;
      case 'opening':
        clearTimeout(state.limit);
        state.socket.close(NORMAL_CLOSE);
        break;
      case 'open':
        this.#heartbeat.stop();
        this.#resume.stop();
        state.socket.close(NORMAL_CLOSE);
        break;
      case 'waiting':
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

  /** An old socket may still speak after its successor was opened. @param {WebSocket} socket */
  #isPresent(socket) {
    return (this.#state.name === 'opening' || this.#state.name === 'open') && this.#state.socket === socket;
  }

  /** @param {number} code */
  #reasonFor(code) {
    if (code !== NO_CLOSE_FRAME) {
      return `closed with code ${code}`;
    }
    return this.#state.name === 'open'
      ? 'the connection was lost'
      : 'the server cannot be reached, or has refused the ticket';
  }

  #listen() {
    this.#listening = new AbortController();
    const { signal } = this.#listening;
    // Neither exists outside of a browser; `document` does not in a worker.
    globalThis.window?.addEventListener('online', () => this.#look(), { signal });
    globalThis.window?.addEventListener('pagehide', () => this.#suspend(), { signal });
    globalThis.window?.addEventListener(
      'pageshow',
      ({ persisted }) => {
        if (persisted && this.#state.name === 'suspended') {
          this.#ask();
        } else if (persisted) {
          // Open, as far as the browser says: what the server has sent meanwhile is lost all the same.
          this.#replace('the page came out of the back/forward cache', false);
          this.#look();
        }
      },
      { signal },
    );
    globalThis.document?.addEventListener(
      'visibilitychange',
      () => {
        if (document.visibilityState === 'visible') {
          this.#look();
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
