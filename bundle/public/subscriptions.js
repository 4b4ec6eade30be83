/**
 * What a page listens to, and what of that the present session has been told.
 *
 * Owns the callbacks of each topic, which outlive sessions: each session is told of all topics anew. What cannot be sent at
 * once, because too much waits to be sent already or too many topics come together, is sent as soon as it can be, if it still
 * holds by then. Bounds: one entry for each topic; `BURST` messages at once, `PER_SECOND` in the long run.
 */
import { Callbacks } from './callbacks.js';
import { encodeSubscribe, encodeUnsubscribe } from './wamp.js';

/**
 * Half of what the server allows a browser by default (`limits.message_burst`, `limits.messages_per_second`): the other half
 * is for what the application publishes and calls. A server takes 100 subscriptions by default, so they all leave at once.
 */
export const BURST = 100;
export const PER_SECOND = 25;

/** A browser does not say when there is room to send again, so it is asked. */
const AGAIN_MS = 100;

export class Subscriptions {
  #send;
  /** @type {Map<string, Callbacks<unknown>>} */
  #wanted = new Map();
  /** Topics that the session has been sent a SUBSCRIBE for; null: there is no session. @type {Set<string> | null} */
  #told = null;
  /** Topics of which the session must still be told, in order. @type {Set<string>} */
  #untold = new Set();
  /** Messages that may be sent at `#filledAt`. */
  #tokens = 0;
  #filledAt = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #again;

  /** @param {(text: string) => boolean} send false: it cannot be sent now */
  constructor(send) {
    this.#send = send;
  }

  /**
   * @param {string} topic
   * @param {(payload: unknown) => void} callback
   * @returns {() => void} takes it out again
   */
  add(topic, callback) {
    const callbacks = this.#wanted.get(topic) ?? new Callbacks();
    const remove = callbacks.add(callback);
    this.#wanted.set(topic, callbacks);
    this.#changed(topic);
    return () => {
      remove();
      if (callbacks.isEmpty && this.#wanted.get(topic) === callbacks) {
        this.#wanted.delete(topic);
        this.#changed(topic);
      }
    };
  }

  /** All that the page listens to, in order. */
  get topics() {
    return [...this.#wanted.keys()];
  }

  /** @param {string} topic @param {unknown} payload */
  call(topic, payload) {
    this.#wanted.get(topic)?.call(payload);
  }

  /** There is a new session, which knows of nothing. */
  opened() {
    this.#told = new Set();
    this.#untold = new Set(this.#wanted.keys());
    this.#tokens = BURST;
    this.#filledAt = performance.now();
    this.#tell();
  }

  /** There is none any more. */
  ended() {
    this.#told = null;
    clearTimeout(this.#again);
  }

  /** @param {string} topic */
  #changed(topic) {
    if (this.#wanted.has(topic) === this.#told?.has(topic)) {
      this.#untold.delete(topic);
    } else if (this.#told !== null) {
      this.#untold.add(topic);
    }
    this.#tell();
  }

  #tell() {
    clearTimeout(this.#again);
    if (this.#told === null) {
      return;
    }
    const now = performance.now();
    this.#tokens = Math.min(BURST, this.#tokens + ((now - this.#filledAt) / 1_000) * PER_SECOND);
    this.#filledAt = now;
    for (const topic of this.#untold) {
      const isWanted = this.#wanted.has(topic);
      if (this.#tokens < 1 || !this.#send(isWanted ? encodeSubscribe(topic) : encodeUnsubscribe(topic))) {
        this.#again = setTimeout(() => this.#tell(), AGAIN_MS);
        return;
      }
      this.#tokens -= 1;
      this.#untold.delete(topic);
      if (isWanted) {
        this.#told.add(topic);
      } else {
        this.#told.delete(topic);
      }
    }
  }
}
