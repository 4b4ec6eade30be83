/**
 * The subscriptions of a page, and when to send them to the current session.
 *
 * Owns the topics (`topic.js`), which outlive sessions: each new session gets all of them. A message that cannot be sent now,
 * because the send buffer is full or the rate limit is reached, is sent later if it is still needed. A call that the server
 * cannot answer at the moment is repeated with the reconnect backoff until the session ends. Bounds: one entry, one call and
 * one retry timer per topic; bursts of `BURST` messages, `PER_SECOND` messages per second on average.
 */
import { delay } from './backoff.js';
import { elapsed, momentNow } from './moment.js';
import { Topic } from './topic.js';

/**
 * Half of the server's default limits for a browser (`limits.message_burst`, `limits.messages_per_second`); the other half is
 * left to the application's messages and calls. All 100 subscriptions that a server accepts by default fit into one burst.
 */
export const BURST = 100;
export const PER_SECOND = 25;

/** Polling interval for a full send buffer: browsers have no event for it. */
const SEND_RETRY_MS = 100;

/**
 * Maximum gap between a session that was ended for a new ticket and the next one, for the next one to count as its
 * continuation.
 */
export const RENEWAL_MS = 2_000;

/** Handle of a listener in a topic. @typedef {{ update: () => void, remove: () => void }} ListenerHandle */

export class Subscriptions {
  #send;
  #onIncomplete;
  #random;
  /** @type {Map<string, Topic>} */
  #topics = new Map();
  /** null: there is none. @type {import('./topic.js').Session | null} */
  #session = null;
  /**
   * When the last session was ended for a new ticket; null: it was not, or an attempt has failed since.
   *
   * @type {import('./moment.js').Moment | null}
   */
  #renewedAt = null;
  /** Topics that may have something to send, in order. @type {Set<Topic>} */
  #dirty = new Set();
  /** Topics of the pending calls, by call id. @type {Map<string, Topic>} */
  #calls = new Map();
  #callCount = 0;
  /** Retry timers. @type {Map<Topic, ReturnType<typeof setTimeout>>} */
  #delays = new Map();
  /** Token bucket: messages that may be sent at `#filledAt`. */
  #tokens = 0;
  #filledAt = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #sendTimer;
  #isFlushScheduled = false;

  /**
   * @param {(text: string) => boolean} send returns false if it cannot send now
   * @param {(topic: string) => void} onIncomplete events of a topic with recovery may be missing
   * @param {() => number} random 0 to 1
   */
  constructor(send, onIncomplete, random) {
    this.#send = send;
    this.#onIncomplete = onIncomplete;
    this.#random = random;
  }

  /**
   * @param {string} name
   * @param {import('./topic.js').Listener} listener
   * @returns {ListenerHandle} `update`: call it when the listener's tags have changed or it has a request
   */
  add(name, listener) {
    const topic = this.#topics.get(name) ?? new Topic(name, () => this.#onIncomplete(name));
    this.#topics.set(name, topic);
    topic.add(listener);
    const update = () => this.#changed(topic, listener.mayWait);
    update();
    return {
      update,
      remove: () => {
        topic.remove(listener);
        update();
      },
    };
  }

  /** Names of all subscribed topics, in order. */
  get topics() {
    return [...this.#topics.values()].filter(({ isEmpty }) => !isEmpty).map(({ name }) => name);
  }

  /** @param {import('./wamp.js').SyncEvent} event */
  event({ topic, payload, position }) {
    this.#topics.get(topic)?.event(payload, position);
  }

  /**
   * Advances topics to the given positions. All events up to them have arrived, or were filtered out by tags.
   *
   * @param {Record<string, string>} positions by topic; unknown topics are ignored
   */
  advance(positions) {
    for (const [name, position] of Object.entries(positions)) {
      this.#topics.get(name)?.advance(position);
    }
  }

  /** @param {import('./wamp.js').CallResult} answer @returns {boolean} false: the call is not one of a subscription */
  answered({ callId, result }) {
    const topic = this.#settle(callId);
    topic?.answered(result);
    this.#sendNext(topic);
    return topic !== undefined;
  }

  /**
   * @param {import('./wamp.js').CallErrorMessage} error
   * @returns {'refused' | 'failed' | 'other'} refused: a policy refuses the subscription, as for SUBSCRIBE; failed: any other
   *   error; other: the call is not one of a subscription
   */
  failed({ callId, uri, details }) {
    const topic = this.#settle(callId);
    if (topic === undefined) {
      return 'other';
    }
    const failure = topic.failed({ uri, details });
    if (failure === 'unknown' && this.#session !== null) {
      this.#session.isLegacy = true;
    } else if (failure === 'later') {
      this.#retryLater(topic);
    }
    this.#sendNext(topic);
    return failure === 'refused' ? 'refused' : 'failed';
  }

  /** Starts a new session, which has no subscriptions yet. @param {import('./moment.js').Moment} opened */
  opened(opened) {
    const isContinuation = this.#renewedAt !== null && elapsed(this.#renewedAt, opened) < RENEWAL_MS;
    this.#renewedAt = null;
    this.#session = { opened, isLegacy: false, isContinuation };
    this.#dirty = new Set(this.#topics.values());
    this.#tokens = BURST;
    this.#filledAt = performance.now();
    this.#flush();
  }

  /** Ends the session, or records a failed attempt. @param {boolean} isRenewed whether the client ended it for a new ticket */
  ended(isRenewed) {
    this.#session = null;
    this.#renewedAt = isRenewed ? momentNow() : null;
    this.#calls.clear();
    clearTimeout(this.#sendTimer);
    this.#delays.forEach((timer) => clearTimeout(timer));
    this.#delays.clear();
    for (const topic of this.#topics.values()) {
      topic.reset();
      this.#forgetIfOver(topic);
    }
  }

  /** @param {string} callId */
  #settle(callId) {
    const topic = this.#calls.get(callId);
    this.#calls.delete(callId);
    return topic;
  }

  /** @param {Topic} topic */
  #retryLater(topic) {
    const timer = setTimeout(() => {
      this.#delays.delete(topic);
      topic.allowRetry();
      this.#sendNext(topic);
    }, delay(topic.unavailableCount, this.#random()));
    this.#delays.set(topic, timer);
  }

  /** Sends what a topic needs next, after an answer. @param {Topic | undefined} topic */
  #sendNext(topic) {
    if (topic !== undefined && this.#session !== null) {
      this.#changed(topic, false);
    }
  }

  /** @param {Topic} topic @param {boolean} mayWait */
  #changed(topic, mayWait) {
    this.#forgetIfOver(topic);
    if (this.#topics.get(topic.name) !== topic || this.#session === null) {
      return;
    }
    this.#dirty.add(topic);
    if (!mayWait) {
      this.#flush();
    } else if (!this.#isFlushScheduled) {
      this.#isFlushScheduled = true;
      queueMicrotask(() => {
        this.#isFlushScheduled = false;
        this.#flush();
      });
    }
  }

  #flush() {
    clearTimeout(this.#sendTimer);
    if (this.#session === null) {
      return;
    }
    const now = performance.now();
    this.#tokens = Math.min(BURST, this.#tokens + ((now - this.#filledAt) / 1_000) * PER_SECOND);
    this.#filledAt = now;
    /** Called at the end: callbacks may change any state. @type {(() => void)[]} */
    const after = [];
    for (const topic of this.#dirty) {
      const message = topic.next(this.#session, `orosync-subscription-${this.#callCount + 1}`);
      if (message !== null && !this.#sent(message)) {
        message.unsent();
        this.#sendTimer = setTimeout(() => this.#flush(), SEND_RETRY_MS);
        break;
      }
      this.#dirty.delete(topic);
      if (message !== null) {
        message.sent();
        after.push(message.after);
        this.#recordSent(topic, message);
      }
    }
    after.forEach((call) => call());
  }

  /** @param {import('./topic.js').Message} message @returns {boolean} false: cannot be sent now */
  #sent({ text }) {
    if (text === null) {
      return true;
    }
    if (this.#tokens < 1 || !this.#send(text)) {
      return false;
    }
    this.#tokens -= 1;
    return true;
  }

  /** @param {Topic} topic @param {import('./topic.js').Message} message that was sent */
  #recordSent(topic, { callId }) {
    if (callId !== null) {
      this.#callCount += 1;
      this.#calls.set(callId, topic);
    }
    this.#forgetIfOver(topic);
  }

  /** @param {Topic} topic */
  #forgetIfOver(topic) {
    if (topic.isOver && this.#topics.get(topic.name) === topic) {
      this.#topics.delete(topic.name);
      this.#dirty.delete(topic);
      clearTimeout(this.#delays.get(topic));
      this.#delays.delete(topic);
    }
  }
}
