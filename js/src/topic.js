/**
 * One topic: its listeners, its position, and its subscription in the current session.
 *
 * Without recovery a topic is subscribed with SUBSCRIBE. With recovery it is subscribed with a call; the answer contains the
 * events since the topic's position, and each later EVENT carries its position:
 *
 *               SUBSCRIBE
 *   none ─────────────────▶ plain
 *      │                      │ call
 *      │ call                 ▼           answer
 *      └───────────────▶ subscribing ───────────────▶ live      more calls: new tags, requests for earlier events
 *                              │ │ refused
 *                              │ └─────────▶ refused
 *                              └──▶ the state before, then SUBSCRIBE: the server does not know the call
 *
 *   The end of the session and UNSUBSCRIBE lead back to "none". A call that the server cannot answer at the moment leads back
 *   to the state before it; after `allowRetry()` the call is repeated.
 *
 * The position outlives sessions. It advances only with events that the listeners have received, so after an unanswered call
 * the next session asks from the same position. Bounds: one call at a time, `MAX_TAGS` tags of `MAX_TAGS_LENGTH` in all; with
 * more tags, all events are requested. A call has no time limit: giving up its answer would lose events. Knows nothing of the
 * rate limit.
 */
import { encodeCall, encodeSubscribe, encodeUnsubscribe, isUnavailable, isUnknownProcedure } from './wamp.js';

/** The server's limit per call. */
const MAX_TAGS = 200;

/** Limit of their JSON, in UTF-16 code units of up to three bytes each. The server's default message limit is 64 KiB. */
const MAX_TAGS_LENGTH = 16 * 1024;

/** The position of a topic without history. */
const NO_POSITION = '0.0';

/**
 * @typedef {object} Listener
 * @property {boolean} recovers whether it wants missed events
 * @property {boolean} mayWait whether its changes are sent together, in a microtask
 * @property {(payload: unknown) => void} onEvent
 * @property {(payload: unknown) => void} onMissed an event that was published without a connection
 * @property {() => void} onIncomplete events may be missing
 * @property {() => string[] | null} tags the listener receives only events of these tags; null: all events
 * @property {(opened: import('./moment.js').Moment) => HistoryRequest | null} nextHistoryRequest null: none. It returns no other
 *   request until this one is settled
 */

/**
 * A request for earlier events. Settled once, by `answered` or by `lost`; after `lost` it may be repeated.
 *
 * @typedef {object} HistoryRequest
 * @property {number} milliseconds start of the interval, before the opening of the session; negative: after it
 * @property {(payloads: unknown[], extent: Extent) => void} answered
 * @property {() => void} lost
 */

/**
 * Extent of an answer: all events, possibly not all, or none because no history is kept.
 *
 * @typedef {'complete' | 'incomplete' | 'withoutHistory'} Extent
 */

/**
 * @typedef {object} Call
 * @property {boolean} subscribes whether it subscribes; otherwise it sets tags
 * @property {Subscription} before
 * @property {string} filterBefore
 * @property {string | null} since
 * @property {HistoryRequest | null} request
 * @property {boolean} isAfterGap a listener with recovery had received all events up to the end of an earlier session
 * @property {boolean} isAfterRenewal the gap was short (`#isAfterRenewal`)
 */

/** @typedef {'none' | 'plain' | 'subscribing' | 'live' | 'refused'} Subscription */

/**
 * Properties of a session.
 *
 * @typedef {object} Session
 * @property {import('./moment.js').Moment} opened
 * @property {boolean} isLegacy the server does not know the calls
 * @property {boolean} isContinuation it directly follows one that was ended for a new ticket
 */

/**
 * A message to be sent. `sent`, `unsent`: call one of them with the outcome. `after`: call it once everything possible was
 * sent; it calls listeners.
 *
 * @typedef {object} Message
 * @property {string | null} text null: nothing to send
 * @property {string | null} callId its call id; null: not a call
 * @property {() => void} sent
 * @property {() => void} unsent
 * @property {() => void} after
 */

const noop = () => {};

export class Topic {
  #onIncomplete;
  /**
   * The value: whether the listener has received all events from some moment up to the topic's position.
   *
   * @type {Map<Listener, boolean>}
   */
  #listeners = new Map();
  /** @type {string | null} */
  #position = null;
  /** @type {Subscription} */
  #subscription = 'none';
  /** Tags sent to the session, as JSON. */
  #filter = 'null';
  /** Whether the session failed a call for this topic, so SUBSCRIBE is used. */
  #isPlain = false;
  /** Whether the session failed a call with tags, so none are sent. */
  #isUnfiltered = false;
  /** Whether the last session was subscribed until its end. */
  #wasSubscribed = false;
  /** @type {Call | null} */
  #call = null;
  /** Whether subscribing waits for `allowRetry()`. */
  #isDeferred = false;
  #unavailableCount = 0;

  /**
   * @param {string} name
   * @param {() => void} onIncomplete called after that of the listeners
   */
  constructor(name, onIncomplete) {
    this.name = name;
    this.#onIncomplete = onIncomplete;
  }

  get isEmpty() {
    return this.#listeners.size === 0;
  }

  /** Whether there are no listeners and no subscription to end. */
  get isOver() {
    return this.isEmpty && this.#subscription === 'none';
  }

  /** Consecutive calls that the server could not answer. */
  get unavailableCount() {
    return this.#unavailableCount;
  }

  /** @param {Listener} listener */
  add(listener) {
    this.#listeners.set(listener, this.#subscription === 'plain' || this.#subscription === 'live');
  }

  /** @param {Listener} listener */
  remove(listener) {
    this.#listeners.delete(listener);
  }

  /** Ends the session. The next one has no subscription yet. */
  reset() {
    const request = this.#call?.request;
    this.#wasSubscribed = this.#subscription === 'plain' || this.#subscription === 'live';
    this.#call = null;
    this.#subscription = 'none';
    this.#filter = 'null';
    this.#isPlain = false;
    this.#isUnfiltered = false;
    this.#isDeferred = false;
    this.#unavailableCount = 0;
    request?.lost();
  }

  /** Allows the next try of a call that the server could not answer. */
  allowRetry() {
    this.#isDeferred = false;
  }

  /**
   * @param {unknown} payload
   * @param {string | undefined} position
   */
  event(payload, position) {
    if (this.#subscription === 'live' && position !== undefined) {
      this.#position = position;
    }
    this.#currentListeners().forEach((listener) => this.#callIfPresent(listener, () => listener.onEvent(payload)));
  }

  /** Advances the position. All events up to it were delivered, or were filtered out by tags. @param {string} position */
  advance(position) {
    if (this.#subscription === 'live' && this.#call === null) {
      this.#position = position;
    }
  }

  /**
   * The next message to the session; null: none now.
   *
   * @param {Session} session
   * @param {string} callId callId used if the message is a call
   * @returns {Message | null}
   */
  next(session, callId) {
    if (this.#call !== null) {
      return null;
    }
    if (this.isEmpty) {
      return this.#subscription === 'none' ? null : this.#unsubscribe();
    }
    const isPlain = session.isLegacy || this.#isPlain || !this.#recovers;
    if (this.#subscription === 'none' && isPlain) {
      return this.#subscribe(session);
    }
    if (this.#subscription === 'refused') {
      return null;
    }
    if (this.#subscription === 'plain' && isPlain) {
      return { callId: null, text: null, sent: noop, unsent: noop, after: () => this.#answerWithoutHistory(session) };
    }
    return this.#nextCall(session, callId);
  }

  /** Handles the answer to the pending call. @param {unknown} result */
  answered(result) {
    const call = this.#endCall();
    if (!call.subscribes) {
      return;
    }
    this.#unavailableCount = 0;
    const { position, isComplete, payloads } = answerIn(result);
    const upToDate = this.#currentListeners().filter((listener) => this.#listeners.get(listener));
    this.#subscription = 'live';
    this.#position = position;
    this.#markUpToDate();
    const isWithoutHistory = position === NO_POSITION;
    if (call.since !== null) {
      payloads.forEach((payload) => {
        upToDate.forEach((listener) => this.#callIfPresent(listener, () => listener.onMissed(payload)));
      });
    }
    // Before the request is answered: the gap of the other listeners is a separate one.
    if (call.isAfterGap && (call.since === null || !isComplete) && !(call.isAfterRenewal && isWithoutHistory)) {
      this.#reportIncomplete(upToDate);
    }
    call.request?.answered(payloads, isWithoutHistory ? 'withoutHistory' : isComplete ? 'complete' : 'incomplete');
  }

  /**
   * Handles an error instead of the answer.
   *
   * @param {{ uri: string, details: unknown }} error the CALLERROR
   * @returns {'refused' | 'unknown' | 'later' | 'failed'} refused: the user may not subscribe; unknown: the server does not
   *   know the call; later: it cannot answer at the moment; failed: any other error
   */
  failed(error) {
    const { subscribes, before, filterBefore, request } = this.#endCall();
    if (!subscribes) {
      this.#isUnfiltered = true;
      return 'failed';
    }
    if (isUnavailable(error)) {
      this.#subscription = before;
      this.#filter = filterBefore;
      this.#isDeferred = true;
      this.#unavailableCount += 1;
      request?.lost();
      return 'later';
    }
    if (error.uri === this.name) {
      this.#subscription = 'refused';
      request?.lost();
      return 'refused';
    }
    const isUnknown = before !== 'live' && isUnknownProcedure(error);
    this.#subscription = before;
    this.#isPlain = before !== 'live';
    this.#isUnfiltered = true;
    if (isUnknown) {
      request?.lost();
    } else {
      request?.answered([], 'incomplete');
    }
    return isUnknown ? 'unknown' : 'failed';
  }

  get #recovers() {
    return this.#currentListeners().some(({ recovers }) => recovers);
  }

  /** Whether a listener with recovery that had received everything is not subscribed now. */
  get #isAfterGap() {
    const wasUpToDate = (/** @type {Listener} */ listener) => listener.recovers && this.#listeners.get(listener);
    return this.#subscription === 'none' && this.#currentListeners().some(wasUpToDate);
  }

  /**
   * Whether the session directly follows one that was subscribed until its end, because the page needed a new ticket.
   *
   * Without history, such a gap is not reported: otherwise every page with a topic that needs a ticket of its own would become
   * uncertain right after loading. Events published in that fraction of a second are lost without notice; but without history a
   * page also misses the longer time between its own request and its first session. If the server could not answer at first,
   * the gap was longer and is reported.
   *
   * @param {Session} session
   */
  #isAfterRenewal({ isContinuation }) {
    return isContinuation && this.#wasSubscribed && this.#unavailableCount === 0;
  }

  /** Marks all listeners as having received everything up to now. */
  #markUpToDate() {
    this.#currentListeners().forEach((listener) => this.#listeners.set(listener, true));
  }

  /** @returns {Message} */
  #unsubscribe() {
    const sent = () => {
      this.#subscription = 'none';
    };
    return { callId: null, text: encodeUnsubscribe(this.name), sent, unsent: noop, after: noop };
  }

  /** @param {Session} session @returns {Message} */
  #subscribe(session) {
    const isReported = this.#isAfterGap && !(session.isLegacy && this.#isAfterRenewal(session));
    const upToDate = isReported ? this.#currentListeners().filter((listener) => this.#listeners.get(listener)) : [];
    return {
      callId: null,
      text: encodeSubscribe(this.name),
      sent: () => {
        this.#subscription = 'plain';
        this.#position = null;
        this.#markUpToDate();
      },
      unsent: noop,
      after: () => {
        this.#reportIncomplete(upToDate);
        this.#answerWithoutHistory(session);
      },
    };
  }

  /**
   * @param {Session} session
   * @param {string} callId
   * @returns {Message | null}
   */
  #nextCall(session, callId) {
    const before = this.#subscription;
    const isAfterGap = this.#isAfterGap;
    const isAfterRenewal = this.#isAfterRenewal(session);
    const since = isAfterGap ? this.#position : null;
    const request = since === null && !this.#isDeferred ? this.#nextHistoryRequest(session.opened) : null;
    const tags = this.#isUnfiltered ? null : this.#tags();
    const filter = JSON.stringify(tags);
    if (before === 'live' && request === null && filter === this.#filter) {
      return null;
    }
    const subscribes = before !== 'live' || request !== null || tags === null;
    if (subscribes && this.#isDeferred) {
      return null;
    }
    const filterBefore = this.#filter;
    return {
      callId,
      text: subscribes
        ? encodeCall(callId, 'orosync/subscribe', [this.name, ...options(since, request, tags)])
        : encodeCall(callId, 'orosync/tags', [this.name, tags]),
      sent: () => {
        this.#call = { subscribes, before, filterBefore, since, request, isAfterGap, isAfterRenewal };
        this.#subscription = before === 'live' ? 'live' : 'subscribing';
        this.#filter = filter;
      },
      unsent: () => request?.lost(),
      after: noop,
    };
  }

  /** @param {import('./moment.js').Moment} opened */
  #nextHistoryRequest(opened) {
    for (const listener of this.#currentListeners()) {
      const request = listener.nextHistoryRequest(opened);
      if (request !== null) {
        return request;
      }
    }
    return null;
  }

  /**
   * Answers all requests as "withoutHistory", because a server that does not know the call cannot answer them. Stops if a
   * callback ends the session.
   *
   * @param {Session} session
   */
  #answerWithoutHistory({ opened }) {
    while (this.#subscription === 'plain') {
      const request = this.#nextHistoryRequest(opened);
      if (request === null) {
        return;
      }
      request.answered([], 'withoutHistory');
    }
  }

  /** The tags of all listeners; null: a listener wants all events, or there are too many tags. */
  #tags() {
    /** @type {Set<string>} */
    const all = new Set();
    for (const listener of this.#currentListeners()) {
      const tags = listener.tags();
      tags?.forEach((tag) => all.add(tag));
      if (tags === null || all.size > MAX_TAGS) {
        return null;
      }
    }
    const sorted = [...all].sort();
    return JSON.stringify(sorted).length > MAX_TAGS_LENGTH ? null : sorted;
  }

  #endCall() {
    const call = this.#call;
    if (call === null) {
      throw new Error(`there is no call about "${this.name}"`);
    }
    this.#call = null;
    return call;
  }

  #currentListeners() {
    return [...this.#listeners.keys()];
  }

  /** Calls unless the listener was removed meanwhile. @param {Listener} listener @param {() => void} call */
  #callIfPresent(listener, call) {
    if (this.#listeners.has(listener)) {
      call();
    }
  }

  /** @param {Listener[]} upToDate */
  #reportIncomplete(upToDate) {
    const affected = upToDate.filter((listener) => listener.recovers && this.#listeners.has(listener));
    affected.forEach((listener) => this.#callIfPresent(listener, () => listener.onIncomplete()));
    if (affected.length > 0) {
      this.#onIncomplete();
    }
  }
}

/**
 * The optional last argument of `orosync/subscribe`.
 *
 * @param {string | null} position
 * @param {HistoryRequest | null} request
 * @param {string[] | null} tags
 */
function options(position, request, tags) {
  const since = position ?? (request === null ? null : { milliseconds: request.milliseconds });
  const given = { ...(since === null ? {} : { since }), ...(tags === null ? {} : { tags }) };
  return Object.keys(given).length === 0 ? [] : [given];
}

/**
 * Reads `{position, complete, events: [[position, payload], …]}`. An answer of any other form counts as incomplete.
 *
 * @param {unknown} result
 * @returns {{ position: string | null, isComplete: boolean, payloads: unknown[] }}
 */
function answerIn(result) {
  const { position, complete, events } = /** @type {Record<string, unknown>} */ (Object(result));
  if (typeof position !== 'string' || !Array.isArray(events) || !events.every(Array.isArray)) {
    return { position: null, isComplete: false, payloads: [] };
  }
  return { position, isComplete: complete === true, payloads: events.map(([, payload]) => payload ?? null) };
}
