/**
 * A clock that a test advances: replaces `setTimeout`, `performance.now` and `Date.now`.
 *
 * With a `tick`, timers fire only at whole multiples of it, as in a hidden tab.
 */
const START = Date.UTC(2026, 0, 1);

export class Clock {
  #now = 0;
  #slept = 0;
  #tick;
  /** @type {Map<object, { due: number, callback: () => void }>} */
  #timers = new Map();

  /** @param {import('node:test').TestContext} t @param {{ tick?: number }} [options] */
  constructor(t, { tick = 1 } = {}) {
    this.#tick = tick;
    t.mock.method(performance, 'now', () => this.#now);
    t.mock.method(Date, 'now', () => START + this.#now + this.#slept);
    t.mock.method(globalThis, 'setTimeout', (callback, delay) => {
      const timer = {};
      this.#timers.set(timer, { due: Math.ceil((this.#now + delay) / this.#tick) * this.#tick, callback });
      return timer;
    });
    t.mock.method(globalThis, 'clearTimeout', (timer) => this.#timers.delete(timer));
  }

  get now() {
    return this.#now;
  }

  /** Number of pending timers. */
  get timers() {
    return this.#timers.size;
  }

  /** Resets the tick; overdue timers fire with the next `pass`. */
  hurry() {
    this.#tick = 1;
    for (const timer of this.#timers.values()) {
      timer.due = Math.min(timer.due, this.#now);
    }
  }

  /** The machine sleeps: only `Date.now` advances. @param {number} milliseconds negative: the clock is set back */
  sleep(milliseconds) {
    this.#slept += milliseconds;
  }

  /** Lets time pass. @param {number} milliseconds */
  pass(milliseconds) {
    const end = this.#now + milliseconds;
    for (;;) {
      const [next] = [...this.#timers].filter(([, { due }]) => due <= end).sort(([, one], [, other]) => one.due - other.due);
      if (next === undefined) {
        break;
      }
      const [timer, { due, callback }] = next;
      this.#timers.delete(timer);
      this.#now = Math.max(this.#now, due);
      callback();
    }
    this.#now = end;
  }
}
