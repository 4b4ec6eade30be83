/**
 * What arrives, in order, for a test that waits for it: `await inbox.take()`. Waits with a limit; that something does *not*
 * arrive is shown by what arrives after it.
 */
const LIMIT_MS = 10_000;

export class Inbox {
  #what;
  #arrived = [];
  #waiting = [];

  /** @param {string} what is awaited, for the error that says it did not come */
  constructor(what) {
    this.#what = what;
  }

  put(item) {
    const waiting = this.#waiting.shift();
    if (waiting === undefined) {
      this.#arrived.push(item);
    } else {
      waiting(item);
    }
  }

  /** The next one that nobody has taken. */
  async take() {
    if (this.#arrived.length > 0) {
      return this.#arrived.shift();
    }
    return new Promise((resolve, reject) => {
      const limit = setTimeout(() => reject(new Error(`${this.#what} did not come within ${LIMIT_MS} ms`)), LIMIT_MS);
      this.#waiting.push((item) => {
        clearTimeout(limit);
        resolve(item);
      });
    });
  }

  /** The next `count`, in order. */
  async takeMany(count) {
    const items = [];
    while (items.length < count) {
      items.push(await this.take());
    }
    return items;
  }

  /** The next one for which `isIt` holds; those before it are passed over. */
  async takeUntil(isIt) {
    for (;;) {
      const item = await this.take();
      if (isIt(item)) {
        return item;
      }
    }
  }

  /** How many have arrived that nobody has taken. */
  get size() {
    return this.#arrived.length;
  }
}
