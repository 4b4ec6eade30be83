/**
 * What a page listens to, and when the present session is told of it.
 *
 * Owns the topics (`topic.js`), which outlive sessions: each session is told of all of them anew. What cannot be sent at
 * once, because too much waits to be sent already or too many topics come together, is sent as soon as it can be, if it still
 * holds by then. What the server cannot answer at the moment is asked again after a delay that grows like that of reconnects, as
 * long as the session stands. Bounds: one entry, one call and one such delay for each topic; `BURST` messages at once, `PER_SECOND` in the long run.
 */
import { delay } from './backoff.js';
import { elapsed, momentNow } from './moment.js';
import { Topic } from './topic.js';

/**
 * Half of what the server allows a browser by default (`limits.message_burst`, `limits.messages_per_second`): the other half
 * is for what the application publishes and calls. A server takes 100 subscriptions by default, so they all leave at once.
 */
export const BURST = 100;
export const PER_SECOND = 25;

/** A browser does not say when there is room to send again, so it is asked. */
const AGAIN_MS = 100;

/** A session that is opened later than this after the one that was ended for another ticket is none that continues it. */
export const RENEWAL_MS = 2_000;

/** What a listener can do with its place in a topic. @typedef {{ update: () => void, remove: () => void }} Listening */

export class Subscriptions {
  #send;
  #onIncomplete;
  #random;
  /** @type {Map<string, Topic>} */
  #topics = new Map();
  /** null: there is none. @type {import('./topic.js').Session | null} */
  #session = null;
  /** When a session was ended for another ticket, if nothing came after it. @type {import('./moment.js').Moment | null} */
  #renewedAt = null;
  /** Topics of which the session must perhaps be told something, in order. @type {Set<Topic>} */
  #untold = new Set();
  /** The topic of each call that waits for its answer. @type {Map<string, Topic>} */
  #calls = new Map();
  #callCount = 0;
  /** Of topics that are asked about again. @type {Map<Topic, ReturnType<typeof setTimeout>>} */
  #delays = new Map();
  /** Messages that may be sent at `#filledAt`. */
  #tokens = 0;
  #filledAt = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #again;
  #isTellingSoon = false;

  /**
   * @param {(text: string) => boolean} send false: it cannot be sent now
   * @param {(topic: string) => void} onIncomplete events of a topic that recovers may be missing
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
   * @returns {Listening} `update`: its tags have changed, or it has a question
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

  /** All that the page listens to, in order. */
  get topics() {
    return [...this.#topics.values()].filter(({ isEmpty }) => !isEmpty).map(({ name }) => name);
  }

  /** @param {import('./wamp.js').SyncEvent} event */
  event({ topic, payload, position }) {
    this.#topics.get(topic)?.event(payload, position);
  }

  /**
   * Takes over where topics have got to. All events up to there came before, or were left out for their tags.
   *
   * @param {Record<string, string>} positions by topic; of any topics
   */
  advance(positions) {
    for (const [name, position] of Object.entries(positions)) {
      this.#topics.get(name)?.advance(position);
    }
  }

  /** @param {import('./wamp.js').CallResult} answer @returns {boolean} false: to a call that is none of these */
  answered({ callId, result }) {
    const topic = this.#settle(callId);
    topic?.answered(result);
    this.#more(topic);
    return topic !== undefined;
  }

  /**
   * @param {import('./wamp.js').CallErrorMessage} error
   * @returns {'refused' | 'failed' | 'other'} refused: to a subscription, as if it had been a SUBSCRIBE; other: as for `answered`
   */
  failed({ callId, uri, details }) {
    const topic = this.#settle(callId);
    if (topic === undefined) {
      return 'other';
    }
    const failure = topic.failed({ uri, details });
    if (failure === 'unknown' && this.#session !== null) {
      this.#session.isOld = true;
    } else if (failure === 'later') {
      this.#askLater(topic);
    }
    this.#more(topic);
    return failure === 'refused' ? 'refused' : 'failed';
  }

  /** There is a new session, which knows of nothing. @param {import('./moment.js').Moment} opened */
  opened(opened) {
    const isContinuation = this.#renewedAt !== null && elapsed(this.#renewedAt, opened) < RENEWAL_MS;
    this.#renewedAt = null;
    this.#session = { opened, isOld: false, isContinuation };
    this.#untold = new Set(this.#topics.values());
    this.#tokens = BURST;
    this.#filledAt = performance.now();
    this.#tell();
  }

  /** There is none any more, or an attempt has led to none. @param {boolean} isRenewed it was ended for another ticket */
  ended(isRenewed) {
    this.#session = null;
    this.#renewedAt = isRenewed ? momentNow() : null;
    this.#calls.clear();
    clearTimeout(this.#again);
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
  #askLater(topic) {
    const timer = setTimeout(() => {
      this.#delays.delete(topic);
      topic.askAgain();
      this.#more(topic);
    }, delay(topic.putOffs, this.#random()));
    this.#delays.set(topic, timer);
  }

  /** After an answer. @param {Topic | undefined} topic */
  #more(topic) {
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
    this.#untold.add(topic);
    if (!mayWait) {
      this.#tell();
    } else if (!this.#isTellingSoon) {
      this.#isTellingSoon = true;
      queueMicrotask(() => {
        this.#isTellingSoon = false;
        this.#tell();
      });
    }
  }

  #tell() {
    clearTimeout(this.#again);
    if (this.#session === null) {
      return;
    }
    const now = performance.now();
    this.#tokens = Math.min(BURST, this.#tokens + ((now - this.#filledAt) / 1_000) * PER_SECOND);
    this.#filledAt = now;
    /** Called at the end: what it calls may change everything. @type {(() => void)[]} */
    const after = [];
    for (const topic of this.#untold) {
      const message = topic.next(this.#session, `orosync-subscription-${this.#callCount + 1}`);
      if (message !== null && !this.#sent(message)) {
        message.unsent();
        this.#again = setTimeout(() => this.#tell(), AGAIN_MS);
        break;
      }
      this.#untold.delete(topic);
      if (message !== null) {
        message.sent();
        after.push(message.after);
        this.#noted(topic, message);
      }
    }
    after.forEach((call) => call());
  }

  /** @param {import('./topic.js').Message} message @returns {boolean} false: not now */
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
  #noted(topic, { callId }) {
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
      this.#untold.delete(topic);
      clearTimeout(this.#delays.get(topic));
      this.#delays.delete(topic);
    }
  }
}
