/**
 * A queue of received items, in order: `await inbox.take()` waits for the next one, with a time limit. To show that something
 * does *not* arrive, a test waits for a later item.
 */
const LIMIT_MS = 10_000;

export class Inbox {
  #what;
  #arrived = [];
  #waiting = [];

  /** @param {string} what the kind of items, for the error on timeout */
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

  /** Removes and returns the next item. */
  async take() {
    if (this.#arrived.length > 0) {
      return this.#arrived.shift();
    }
    return new Promise((resolve, reject) => {
      const limit = setTimeout(() => reject(new Error(`${this.#what} did not arrive within ${LIMIT_MS} ms`)), LIMIT_MS);
      this.#waiting.push((item) => {
        clearTimeout(limit);
        resolve(item);
      });
    });
  }

  /** The next `count` items, in order. */
  async takeMany(count) {
    const items = [];
    while (items.length < count) {
      items.push(await this.take());
    }
    return items;
  }

  /** The next item for which `matches` is true; skips those before it. */
  async takeUntil(matches) {
    for (;;) {
      const item = await this.take();
      if (matches(item)) {
        return item;
      }
    }
  }

  /** Number of items not taken yet. */
  get size() {
    return this.#arrived.length;
  }
}
