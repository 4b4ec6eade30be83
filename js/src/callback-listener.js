/**
 * A callback of an application, as a topic calls it.
 *
 * One that says since when it wants to know asks about that once. What comes before the answer is in the answer too, so until
 * then it is given nothing else.
 */
import { callSafely } from './callbacks.js';
import { elapsed } from './moment.js';

/** @typedef {import('./moment.js').Moment} Moment */
/** @typedef {import('./topic.js').Listener} Listener */

/** @implements {Listener} */
export class CallbackListener {
  #callback;
  #onIncomplete;
  /** null: that was answered, or was never asked. @type {Moment | null} */
  #since;
  #isAsked = false;
  #isOver = false;

  mayWait = false;

  /**
   * @param {(payload: unknown) => void} callback
   * @param {{ recovers: boolean, since: Moment | null, onIncomplete: () => void }} options `onIncomplete`: the server does not
   *   know all that came since then
   */
  constructor(callback, { recovers, since, onIncomplete }) {
    this.recovers = recovers;
    this.#callback = callback;
    this.#since = since;
    this.#onIncomplete = onIncomplete;
  }

  /** It was taken out: an answer that is still to come, or the rest of one, is not for it. */
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

  /** @param {Moment} opened @returns {import('./topic.js').Question | null} */
  nextQuestion(opened) {
    if (this.#since === null || this.#isAsked) {
      return null;
    }
    this.#isAsked = true;
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
        this.#isAsked = false;
      },
    };
  }
}
