/**
 * Callbacks of the application, called one after the other.
 *
 * What one of them throws is reported as an uncaught error is (`reportError`), and the others are called all the same.
 */

/**
 * The callbacks for one thing.
 *
 * @template T
 */
export class Callbacks {
  /** @type {Set<{ callback: (value: T) => void }>} */
  #entries = new Set();

  get isEmpty() {
    return this.#entries.size === 0;
  }

  /**
   * The same function added twice is called twice.
   *
   * @param {(value: T) => void} callback
   * @returns {() => void} takes it out again; further calls do nothing
   */
  add(callback) {
    checkCallback(callback);
    const entry = { callback };
    this.#entries.add(entry);
    return () => {
      this.#entries.delete(entry);
    };
  }

  /**
   * Calls those that are in at the beginning, except for those that are taken out meanwhile.
   *
   * @param {T} value
   */
  call(value) {
    for (const entry of [...this.#entries]) {
      if (this.#entries.has(entry)) {
        callSafely(entry.callback, value);
      }
    }
  }
}

/** @param {unknown} callback */
export function checkCallback(callback) {
  if (typeof callback !== 'function') {
    throw new TypeError(`a callback must be a function, not ${callback === null ? 'null' : typeof callback}`);
  }
}

/**
 * @template T
 * @param {(value: T) => void} callback
 * @param {T} value
 */
export function callSafely(callback, value) {
  try {
    callback(value);
  } catch (error) {
    report(error);
  }
}

/** Shows an error where a developer looks for it, without stopping anything. @type {(error: unknown) => void} */
export function report(error) {
  if (typeof reportError === 'function') {
    reportError(error);
  } else {
    console.error(error);
  }
}
