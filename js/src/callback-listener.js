/**
 * One callback of an application, as a listener of a topic.
 *
 * A callback with a `since` requests the events from that moment on once. Events that arrive before the answer are
 * part of the answer too, so the callback receives nothing until then.
 */
import { callSafely } from './callbacks.js';
import { elapsed } from './moment.js';

/** @typedef {import('./moment.js').Moment} Moment */
/** @typedef {import('./topic.js').Listener} Listener */

/** @implements {Listener} */
export class CallbackListener {
  #callback;
  #onIncomplete;
  /** null: already answered, or no `since` was given. @type {Moment | null} */
  #since;
  #isRequested = false;
  #isOver = false;

  mayWait = false;

  /**
   * @param {(payload: unknown) => void} callback
   * @param {{ recovers: boolean, since: Moment | null, onIncomplete: () => void }} options `onIncomplete`: the server does not
   *   have all events since then
   */
  constructor(callback, { recovers, since, onIncomplete }) {
    this.recovers = recovers;
    this.#callback = callback;
    this.#since = since;
    this.#onIncomplete = onIncomplete;
  }

  /** Stops the callback: it receives neither a pending answer nor the rest of one. */
  end() {
    this.#isOver = true;
  }

  /** @param {unknown} payload */
  onEvent(payload) {
    if (this.#since === null && !this.#isOver) {
      callSafely(this.#callback, payload);
    }
  }

  /** @param {unknown} payload */
  onMissed(payload) {
    this.onEvent(payload);
  }

  onIncomplete() {}

  tags() {
    return null;
  }

  /** @param {Moment} opened @returns {import('./topic.js').HistoryRequest | null} */
  nextHistoryRequest(opened) {
    if (this.#since === null || this.#isRequested) {
      return null;
    }
    this.#isRequested = true;
    return {
      milliseconds: Math.ceil(elapsed(this.#since, opened)),
      answered: (payloads, extent) => {
        this.#since = null;
        payloads.forEach((payload) => this.onEvent(payload));
        if (extent !== 'complete' && !this.#isOver) {
          this.#onIncomplete();
        }
      },
      lost: () => {
        this.#isRequested = false;
      },
    };
  }
}
