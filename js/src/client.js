/**
 * The client that an application holds: topics to listen to, messages to publish, procedures to call.
 *
 * Owns the subscriptions, which outlive sockets, and the application's pending calls, which do not. Bounds: `MAX_PENDING_CALLS`
 * calls, each with a time limit; what is sent is bounded by `socket.js`. No message is queued while there is no connection:
 * `publish` says `false`, `call` rejects.
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

/** Topics that a ticket is asked for: as many as the server takes of a session by default. */
const MAX_ASKED_TOPICS = 100;

const NORMAL_CLOSE = 1000;

/**
 * @typedef {object} BasicOptions
 * @property {string | (() => string)} url of the server: `ws://…` or `wss://…`; or a path such as `/ws` on the page's own host. A
 *   function is asked before each attempt
 * @property {number} [connectTimeoutMs] time limit for getting a ticket, and again from there to WELCOME (10 000)
 * @property {number} [callTimeoutMs] time limit for the answer to a call (10 000)
 * @property {boolean | (() => boolean)} [warnings] false: nothing in the console about lost connections and refused topics
 *   (true). A function is asked each time
 * @property {typeof globalThis.WebSocket} [WebSocket] where the runtime has none of its own
 * @property {() => number} [random] 0 to 1, for the jitter (`Math.random`)
 */
/**
 * @typedef {object} EndpointOptions
 * @property {string | null} ticketUrl endpoint that answers `{"ticket": "…"}`; null: connect without a ticket
 * @property {import('./ticket.js').Headers | (() => import('./ticket.js').Headers)} [ticketHeaders] sent to it, e.g. a CSRF header
 */
/**
 * @typedef {object} TicketOptions
 * @property {import('./ticket.js').TicketSource} ticket asked in place of an endpoint, before each attempt that is not made with
 *   what the server has given for it
 */
/** @typedef {BasicOptions & (EndpointOptions | TicketOptions)} ClientOptions */

/**
 * What `on` tells about.
 *
 * @typedef {object} ClientEvents
 * @property {import('./socket.js').StateName} state
 * @property {{ sessionId: string }} connected
 * @property {import('./socket.js').Ended} disconnected
 * @property {{ topic: string, reason: string }} refused the server lets this user not subscribe (or publish) to the topic
 * @property {{ topic: string }} incomplete events of a topic that recovers may have been missed: load anew what depends on them.
 *   What the server still had has been given to the callbacks
 */

/**
 * `OROSYNC_NOT_CONNECTED`: it was not sent. `OROSYNC_TOO_MANY_CALLS`: it was not sent. `OROSYNC_CONNECTION_LOST`,
 * `OROSYNC_CALL_TIMEOUT`: it was sent; whether it was done is unknown. `OROSYNC_CALL_FAILED`: the server said no.
 *
 * @typedef {'OROSYNC_NOT_CONNECTED' | 'OROSYNC_TOO_MANY_CALLS' | 'OROSYNC_CONNECTION_LOST' | 'OROSYNC_CALL_TIMEOUT'
 *   | 'OROSYNC_CALL_FAILED'} CallErrorCode
 */

export class CallError extends Error {
  name = 'CallError';

  /**
   * @param {CallErrorCode} code
   * @param {string} message
   * @param {{ uri?: string, details?: unknown }} [answer] what the server said
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
  /** The topics that the last ticket was asked for; null: it would be the same for others. @type {Set<string> | null} */
  #asked = null;
  #warnings;
  /** @type {{ [E in keyof ClientEvents]: Callbacks<ClientEvents[E]> }} */
  #events = {
    state: new Callbacks(),
    connected: new Callbacks(),
    disconnected: new Callbacks(),
    refused: new Callbacks(),
    incomplete: new Callbacks(),
  };

  /** Does not connect yet: see `connect()`. @param {ClientOptions} options */
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

  /** The WAMP session id, as `exclude` and `eligible` name it; null: not connected. */
  get sessionId() {
    return this.#socket.sessionId;
  }

  /** Connects, and stays connected until `close()`. While it waits for the next attempt: tries at once. */
  connect() {
    this.#socket.connect();
  }

  /** Ends the connection, every timer and every listener on the page. Subscriptions are kept for another `connect()`. */
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
   * Several callbacks of one topic share one subscription. It holds across reconnects. What was published while there was no
   * connection comes later only if a callback of the topic recovers: then to all of them, once and in order, before what is new;
   * where that is not certain, the event `incomplete` says so. A callback gets nothing that was published before the server took
   * its subscription, unless it says since when.
   *
   * A topic that voters decide about takes a ticket that was asked for it: one that comes later ends the connection for
   * another one, at once the first time.
   *
   * @param {string} topic
   * @param {(payload: unknown) => void} callback
   * @param {{ recover?: boolean, since?: number }} [options] `since`, only with `recover`: what `performance.now()` was when the
   *   page requested the data that these events change. What was published from then on comes first
   * @returns {() => void} unsubscribes this callback
   */
  subscribe(topic, callback, { recover = false, since } = {}) {
    checkCallback(callback);
    if (since !== undefined && !(recover && Number.isFinite(since))) {
      throw new TypeError(`subscribe to "${topic}": since takes recover: true, and is a value of performance.now()`);
    }
    const listener = new CallbackListener(callback, {
      recovers: recover,
      since: since === undefined ? null : this.momentOf(since),
      onIncomplete: () => this.#events.incomplete.call({ topic }),
    });
    const { remove } = this.listen(topic, listener);
    return () => {
      listener.end();
      remove();
    };
  }

  /**
   * What `subscribe` and the classes on top of the client are made of; not for applications.
   *
   * @param {string} topic
   * @param {import('./topic.js').Listener} listener must not throw
   */
  listen(topic, listener) {
    checkName('topic', topic);
    return this.#subscriptions.add(topic, listener);
  }

  /** When `performance.now()` had a value; not for applications. @param {number} monotonic */
  momentOf(monotonic) {
    return this.#timeline.at(monotonic);
  }

  /**
   * @param {string} topic
   * @param {unknown} payload anything that JSON can say
   * @param {import('./wamp.js').PublishOptions} [options]
   * @returns {boolean} false: not sent, because there is no connection or too much waits to be sent already. True: sent;
   *   a policy of the server may still refuse it (event `refused`)
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
    // Not a bare number: the answer to a refused SUBSCRIBE carries the topic where a call's answer carries the call id.
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
    const answer = await source(signal, topics.slice(0, MAX_ASKED_TOPICS));
    if (typeof answer !== 'object' || answer === null) {
      this.#asked = null;
      return answer;
    }
    // Also those beyond the bound: a ticket that is asked for again would lack them again.
    this.#asked = answer.dependsOnTopics === true ? new Set(topics) : null;
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
    if ((this.state === 'waiting' && !isForAnotherTicket) || this.state === 'refused') {
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
      this.#socket.renew(`"${topic}" needs a ticket that was asked for it`);
    } else {
      this.#warnings.refused({ topic, reason });
      this.#events.refused.call({ topic, reason });
    }
  }

  /** Whether a refused topic was not among those that the ticket was asked for. @param {string} topic */
  #needsAnotherTicket(topic) {
    return this.#asked !== null && !this.#asked.has(topic) && this.#subscriptions.topics.includes(topic);
  }

  /** Takes a call out; undefined: no such call, or its time is over. @param {string} callId */
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
    throw new TypeError('OrosyncClient: neither ticketUrl nor ticket is given. Without a ticket: ticketUrl: null.');
  }
  return ticketsFrom(options.ticketUrl, options.ticketHeaders ?? {});
}

/** Checked at once where it is known at once. @param {string | (() => string)} url @returns {() => URL} */
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
    throw new TypeError(`OrosyncClient: url = "${url}" is no address. Write ws://…, wss://… or, in a page, a path such as /ws.`, { cause });
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
    throw new TypeError(`a ${what} must be a string that is not empty, not ${JSON.stringify(name)}`);
  }
}
