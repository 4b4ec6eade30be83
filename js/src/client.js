/**
 * The client that an application creates: subscribe to topics, publish messages, call procedures.
 *
 * Owns the subscriptions, which outlive sockets, and the application's pending calls, which do not. Bounds: `MAX_PENDING_CALLS`
 * calls, each with a time limit; `socket.js` bounds the bytes that wait to be sent. Nothing is queued while there is no
 * connection: `publish` returns `false`, `call` rejects.
 */
import { CallbackListener } from './callback-listener.js';
import { Callbacks, checkCallback } from './callbacks.js';
import { Timeline } from './moment.js';
import { Socket } from './socket.js';
import { Subscriptions } from './subscriptions.js';
import { ticketsBy, ticketsFrom, withoutTicket } from './ticket.js';
import { encodeCall, encodePublish } from './wamp.js';
import { Warnings } from './warnings.js';

const CONNECT_TIMEOUT_MS = 10_000;
const CALL_TIMEOUT_MS = 10_000;
const MAX_PENDING_CALLS = 1_000;

/** Maximum number of topics in a ticket request: the server's default limit of subscriptions per session. */
const MAX_TICKET_TOPICS = 100;

const NORMAL_CLOSE = 1000;

/**
 * @typedef {object} BasicOptions
 * @property {string | (() => string)} url of the server: `ws://…`, `wss://…`, or a path such as `/ws` on the page's own host. A
 *   function is called before each attempt
 * @property {number} [connectTimeoutMs] time limit for the ticket request, and again from the ticket to WELCOME, in
 *   milliseconds (default: 10 000)
 * @property {number} [callTimeoutMs] time limit for the answer to a call, in milliseconds (default: 10 000)
 * @property {boolean | (() => boolean)} [warnings] false: no console warnings about lost connections and refused topics
 *   (default: true). A function is called before each warning
 * @property {typeof globalThis.WebSocket} [WebSocket] for runtimes without one
 * @property {() => number} [random] 0 to 1, for jitter (default: `Math.random`)
 */
/**
 * @typedef {object} EndpointOptions
 * @property {string | null} ticketUrl endpoint that answers `{"ticket": "…"}`; null: connects without a ticket
 * @property {import('./ticket.js').Headers | (() => import('./ticket.js').Headers)} [ticketHeaders] sent to it, e.g. a CSRF header
 */
/**
 * @typedef {object} TicketOptions
 * @property {import('./ticket.js').TicketSource} ticket called instead of an endpoint, before each attempt without a resume
 *   ticket
 */
/** @typedef {BasicOptions & (EndpointOptions | TicketOptions)} ClientOptions */

/**
 * Events of `on`, with the type of their detail.
 *
 * @typedef {object} ClientEvents
 * @property {import('./socket.js').StateName} state
 * @property {{ sessionId: string }} connected
 * @property {import('./socket.js').Ended} disconnected
 * @property {{ topic: string, reason: string }} refused this user may not subscribe (or publish) to the topic
 * @property {{ topic: string }} incomplete events of a topic with `recover` may be missing: reload what depends on them. The
 *   events that the server still had were delivered before
 */

/**
 * - `OROSYNC_NOT_CONNECTED`, `OROSYNC_TOO_MANY_CALLS`: the call was not sent
 * - `OROSYNC_CONNECTION_LOST`, `OROSYNC_CALL_TIMEOUT`: the call was sent; whether the server executed it is unknown
 * - `OROSYNC_CALL_FAILED`: the server answered with an error
 *
 * @typedef {'OROSYNC_NOT_CONNECTED' | 'OROSYNC_TOO_MANY_CALLS' | 'OROSYNC_CONNECTION_LOST' | 'OROSYNC_CALL_TIMEOUT'
 *   | 'OROSYNC_CALL_FAILED'} CallErrorCode
 */

export class CallError extends Error {
  name = 'CallError';

  /**
   * @param {CallErrorCode} code
   * @param {string} message
   * @param {{ uri?: string, details?: unknown }} [answer] URI and details of the server's error
   */
  constructor(code, message, { uri, details } = {}) {
    super(message);
    this.code = code;
    this.uri = uri;
    this.details = details;
  }
}

/**
 * @typedef {object} PendingCall
 * @property {string} procedure
 * @property {(result: unknown) => void} resolve
 * @property {(error: CallError) => void} reject
 * @property {ReturnType<typeof setTimeout>} limit
 */

export class OrosyncClient {
  #socket;
  #random;
  #callTimeoutMs;
  #subscriptions = new Subscriptions(
    (text) => this.#socket.send(text),
    (topic) => this.#events.incomplete.call({ topic }),
    () => this.#random(),
  );
  #timeline = new Timeline();
  /** @type {Map<string, PendingCall>} */
  #calls = new Map();
  #callCount = 0;
  /** Topics of the last ticket request; null: the ticket does not depend on topics. @type {Set<string> | null} */
  #ticketTopics = null;
  #warnings;
  /** @type {{ [E in keyof ClientEvents]: Callbacks<ClientEvents[E]> }} */
  #events = {
    state: new Callbacks(),
    connected: new Callbacks(),
    disconnected: new Callbacks(),
    refused: new Callbacks(),
    incomplete: new Callbacks(),
  };

  /** Call `connect()` to connect. @param {ClientOptions} options */
  constructor(options) {
    this.#random = options.random ?? Math.random;
    this.#callTimeoutMs = options.callTimeoutMs ?? CALL_TIMEOUT_MS;
    const url = addressSource(options.url);
    const source = ticketSource(options);
    const { warnings = true } = options;
    this.#warnings = new Warnings(url, typeof warnings === 'function' ? warnings : () => warnings);
    this.#socket = new Socket(
      {
        url,
        ticket: (signal) => this.#ticket(source, signal),
        connectTimeoutMs: options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
        WebSocket: options.WebSocket ?? globalThis.WebSocket,
        random: this.#random,
      },
      {
        onState: (name) => this.#events.state.call(name),
        onOpen: (sessionId) => this.#opened(sessionId),
        onMessage: (message) => this.#received(message),
        onPositions: (positions) => this.#subscriptions.advance(positions),
        onEnd: (ended) => this.#ended(ended),
      },
    );
  }

  /** @type {import('./socket.js').StateName} */
  get state() {
    return this.#socket.state;
  }

  /** The WAMP session id, as `exclude` and `eligible` take it; null: not connected. */
  get sessionId() {
    return this.#socket.sessionId;
  }

  /** Connects, and reconnects until `close()`. While the client waits for the next attempt, starts it at once. */
  connect() {
    this.#socket.connect();
  }

  /** Ends the connection, and removes all timers and page listeners. Subscriptions are kept for the next `connect()`. */
  close() {
    this.#socket.close();
  }

  /**
   * @template {keyof ClientEvents} E
   * @param {E} event
   * @param {(detail: ClientEvents[E]) => void} callback
   * @returns {() => void} stops it
   */
  on(event, callback) {
    if (!Object.hasOwn(this.#events, event)) {
      throw new TypeError(`there is no event "${event}"; there are: ${Object.keys(this.#events).join(', ')}`);
    }
    return this.#events[event].add(callback);
  }

  /**
   * Calls `callback` with the payload of each event of a topic. The callbacks of a topic share one subscription, which is
   * restored after each reconnect.
   *
   * Events that were published without a connection are delivered only if a callback of the topic has `recover`: then all
   * callbacks receive them, once and in order, before new events. If some may be missing, the client emits `incomplete`. A
   * callback receives nothing that was published before its subscription, unless it gives `since`.
   *
   * A topic that voters decide about must be named in the ticket request. Subscribing to one later makes the client reconnect
   * with a new ticket, the first time without delay.
   *
   * @param {string} topic
   * @param {(payload: unknown) => void} callback
   * @param {{ recover?: boolean, since?: number }} [options] `since`, only with `recover`: the value of `performance.now()`
   *   when the page requested the data that these events change. The events since then are delivered first
   * @returns {() => void} unsubscribes this callback
   */
  subscribe(topic, callback, { recover = false, since } = {}) {
    checkCallback(callback);
    if (since !== undefined && !(recover && Number.isFinite(since))) {
      throw new TypeError(`subscribe to "${topic}": since needs recover: true and a value of performance.now()`);
    }
    const listener = new CallbackListener(callback, {
      recovers: recover,
      since: since === undefined ? null : this.momentOf(since),
      onIncomplete: () => this.#events.incomplete.call({ topic }),
    });
    const { remove } = this.addListener(topic, listener);
    return () => {
      listener.end();
      remove();
    };
  }

  /**
   * Adds a listener to a topic: the basis of `subscribe`, `ContentTracker` and `Maintenance`. Not for applications.
   *
   * @param {string} topic
   * @param {import('./topic.js').Listener} listener must not throw
   */
  addListener(topic, listener) {
    checkName('topic', topic);
    return this.#subscriptions.add(topic, listener);
  }

  /** Converts a value of `performance.now()`. Not for applications. @param {number} monotonic */
  momentOf(monotonic) {
    return this.#timeline.at(monotonic);
  }

  /**
   * @param {string} topic
   * @param {unknown} payload anything that JSON can represent
   * @param {import('./wamp.js').PublishOptions} [options]
   * @returns {boolean} true: sent; the server's policy may still refuse it (event `refused`). false: not sent, because there is
   *   no connection or the send buffer is full
   */
  publish(topic, payload, options) {
    checkName('topic', topic);
    return this.#socket.send(encodePublish(topic, payload, options));
  }

  /**
   * @param {string} procedure
   * @param {...unknown} args
   * @returns {Promise<unknown>} the result; rejects with a `CallError`
   */
  async call(procedure, ...args) {
    checkName('procedure', procedure);
    if (this.#calls.size >= MAX_PENDING_CALLS) {
      throw new CallError('OROSYNC_TOO_MANY_CALLS', `"${procedure}" was not called: ${MAX_PENDING_CALLS} calls wait for an answer`);
    }
    this.#callCount += 1;
    // Not a bare number: a refused SUBSCRIBE is answered with the topic in the field of the call id.
    const callId = `orosync-call-${this.#callCount}`;
    if (!this.#socket.send(encodeCall(callId, procedure, args))) {
      throw new CallError('OROSYNC_NOT_CONNECTED', `"${procedure}" was not called: not connected`);
    }
    return new Promise((resolve, reject) => {
      const limit = setTimeout(() => {
        this.#calls.delete(callId);
        reject(new CallError('OROSYNC_CALL_TIMEOUT', `"${procedure}" was not answered within ${this.#callTimeoutMs} ms`));
      }, this.#callTimeoutMs);
      this.#calls.set(callId, { procedure, resolve, reject, limit });
    });
  }

  /**
   * @param {import('./ticket.js').TicketSource} source
   * @param {AbortSignal} signal
   */
  async #ticket(source, signal) {
    const { topics } = this.#subscriptions;
    const answer = await source(signal, topics.slice(0, MAX_TICKET_TOPICS));
    if (typeof answer !== 'object' || answer === null) {
      this.#ticketTopics = null;
      return answer;
    }
    // Includes topics beyond the bound: another ticket request would leave them out again.
    this.#ticketTopics = answer.dependsOnTopics === true ? new Set(topics) : null;
    return answer.ticket;
  }

  /** @param {string} sessionId */
  #opened(sessionId) {
    this.#timeline.note();
    this.#subscriptions.opened(this.#socket.openedAt);
    this.#warnings.connected();
    this.#events.connected.call({ sessionId });
  }

  /** @param {import('./socket.js').Ended} ended */
  #ended(ended) {
    this.#timeline.note();
    this.#subscriptions.ended(this.#socket.isRenewing);
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    for (const { procedure, reject, limit } of calls) {
      clearTimeout(limit);
      reject(new CallError('OROSYNC_CONNECTION_LOST', `the connection ended before "${procedure}" was answered: ${ended.reason}`));
    }
    const isForAnotherTicket = ended.code === NORMAL_CLOSE && ended.willRetry;
    if ((this.state === 'backing-off' && !isForAnotherTicket) || this.state === 'refused') {
      this.#warnings.disconnected(ended);
    }
    this.#events.disconnected.call(ended);
  }

  /** @param {import('./wamp.js').SessionMessage} message */
  #received(message) {
    switch (message.type) {
      case 'event':
        this.#subscriptions.event(message);
        break;
      case 'callResult':
        if (!this.#subscriptions.answered(message)) {
          this.#settle(message.callId)?.resolve(message.result);
        }
        break;
      case 'callError':
        this.#failed(message);
        break;
    }
  }

  /** @param {import('./wamp.js').CallErrorMessage} message */
  #failed(message) {
    const { callId, uri, reason, details } = message;
    const call = this.#settle(callId);
    if (call !== undefined) {
      const text = `"${call.procedure}" failed: ${reason === '' ? uri : reason}`;
      call.reject(new CallError('OROSYNC_CALL_FAILED', text, { uri, details }));
      return;
    }
    const failure = this.#subscriptions.failed(message);
    if (failure === 'refused' || (failure === 'other' && callId === uri)) {
      this.#refused(uri, reason);
    }
  }

  /** @param {string} topic @param {string} reason */
  #refused(topic, reason) {
    if (this.#needsAnotherTicket(topic)) {
      this.#socket.renew(`the ticket does not cover "${topic}"`);
    } else {
      this.#warnings.refused({ topic, reason });
      this.#events.refused.call({ topic, reason });
    }
  }

  /** Whether a refused topic is subscribed but was missing from the ticket request. @param {string} topic */
  #needsAnotherTicket(topic) {
    return this.#ticketTopics !== null && !this.#ticketTopics.has(topic) && this.#subscriptions.topics.includes(topic);
  }

  /** Removes and returns a pending call; undefined: unknown, or timed out. @param {string} callId */
  #settle(callId) {
    const call = this.#calls.get(callId);
    if (call !== undefined) {
      this.#calls.delete(callId);
      clearTimeout(call.limit);
    }
    return call;
  }
}

/**
 * @param {ClientOptions} options
 * @returns {import('./ticket.js').TicketSource}
 */
function ticketSource(options) {
  if ('ticket' in options) {
    return ticketsBy(options.ticket);
  }
  if (options.ticketUrl === null) {
    return withoutTicket;
  }
  if (typeof options.ticketUrl !== 'string') {
    throw new TypeError('OrosyncClient: neither ticketUrl nor ticket is given. To connect without a ticket, pass ticketUrl: null.');
  }
  return ticketsFrom(options.ticketUrl, options.ticketHeaders ?? {});
}

/**
 * Checks a fixed address immediately, a function's result on each attempt.
 *
 * @param {string | (() => string)} url
 * @returns {() => URL}
 */
function addressSource(url) {
  if (typeof url === 'function') {
    return () => resolveUrl(url());
  }
  const resolved = resolveUrl(url);
  return () => resolved;
}

/** @param {string} url */
function resolveUrl(url) {
  const base = globalThis.location?.href;
  let resolved;
  try {
    resolved = new URL(url, base);
  } catch (cause) {
    throw new TypeError(`OrosyncClient: url = "${url}" is not an address. Write ws://…, wss://… or, in a page, a path such as /ws.`, { cause });
  }
  const scheme = new Map([['http:', 'ws:'], ['https:', 'wss:'], ['ws:', 'ws:'], ['wss:', 'wss:']]).get(resolved.protocol);
  if (scheme === undefined) {
    throw new TypeError(`OrosyncClient: url = "${url}" has the scheme "${resolved.protocol}". Write ws://…, wss://… or a path.`);
  }
  resolved.protocol = scheme;
  resolved.hash = ''; // a WebSocket takes none
  return resolved;
}

/**
 * @param {'topic' | 'procedure'} what
 * @param {string} name
 */
function checkName(what, name) {
  if (typeof name !== 'string' || name === '') {
    throw new TypeError(`a ${what} must be a non-empty string, not ${JSON.stringify(name)}`);
  }
}
