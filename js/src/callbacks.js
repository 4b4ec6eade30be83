/**
 * Calls callbacks of the application, one after the other.
 *
 * An exception is reported as an uncaught error (`reportError`) and does not keep the others from being called.
 */

/**
 * The callbacks of one event.
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
   * Adds a callback. A function that is added twice is called twice.
   *
   * @param {(value: T) => void} callback
   * @returns {() => void} removes it; further calls do nothing
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
   * Calls the callbacks that were present at the beginning and have not been removed since.
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

/**
 * Reports an error as uncaught, or in the console where `reportError` is missing. Never throws.
 *
 * @type {(error: unknown) => void}
 */
export function report(error) {
  if (typeof reportError === 'function') {
    reportError(error);
  } else {
    console.error(error);
  }
}
