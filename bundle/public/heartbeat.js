/**
 * Notices that the path to the server is dead although the connection looks open.
 *
 *                nothing heard, or looked at              no answer
 *   listening ───────────────────────────────▶ asked ──────────────────▶ lost
 *       ▲               anything heard           │
 *       └────────────────────────────────────────┘
 *
 * The packets of an open WebSocket may vanish: a laptop slept, a NAT forgot. A browser shows the server's pings to no page, so
 * a page has to ask by itself. Any message is an answer. Owns one timer. Bound: a dead path is known after `QUIET_MS` and
 * `ANSWER_MS`, and where somebody looks after `ANSWER_MS`. Does not know what is asked, nor what becomes of a lost connection.
 *
 * Browsers let the timers of a hidden tab run late, by a second or up to the next full minute. The path is then known to be
 * dead later, and never taken for dead because of that.
 */

/**
 * A question follows this long a silence at most. Each page takes its own time in the last fifth of it: pages that have heard
 * the same event do not ask in the same instant. Below the 30 s after which the server would send a ping
 * (`limits.ping_interval_seconds`), so that of the two only one asks.
 */
export const QUIET_MS = 25_000;
export const ANSWER_MS = 5_000;

/** A timer that is late by this much says that the page itself was stopped. */
const LATE_MS = 1_000;

/** What arrived while the page was stopped is delivered within this time after it runs again. */
const CATCH_UP_MS = 1_000;

/** @typedef {ReturnType<typeof setTimeout>} Timer */
/** @typedef {{ name: 'stopped' }} Stopped */
/** @typedef {{ name: 'listening', timer: Timer }} Listening */
/**
 * @typedef {object} Asked
 * @property {'asked'} name
 * @property {Timer} timer
 * @property {number} due when the answer is overdue
 * @property {number} unsent bytes that waited to be sent before the question
 * @property {boolean} hasCaughtUp it is overdue, and what arrived while the page was stopped has been given its time
 */

/**
 * @typedef {object} HeartbeatHandlers
 * @property {() => void} ask sends a question that the server answers at once
 * @property {() => number} unsent bytes that the network has not taken yet
 * @property {() => void} lost
 */

export class Heartbeat {
  #handlers;
  #random;
  /** @type {Stopped | Listening | Asked} */
  #state = { name: 'stopped' };

  /** @param {HeartbeatHandlers} handlers @param {() => number} random 0 to 1 */
  constructor(handlers, random) {
    this.#handlers = handlers;
    this.#random = random;
  }

  /** The connection has just opened, or something has arrived. */
  heard() {
    this.stop();
    const quiet = QUIET_MS * (1 - this.#random() / 5);
    this.#state = { name: 'listening', timer: setTimeout(() => this.#ask(), quiet) };
  }

  /** Somebody looks at the page, or the network has changed: the path may have died while nobody noticed. */
  look() {
    const state = this.#state;
    if (state.name === 'listening') {
      this.#ask();
    } else if (state.name === 'asked' && !state.hasCaughtUp) {
      // The timer was set while nobody looked, and may be late.
      this.#await(state, state.due - performance.now());
    }
  }

  stop() {
    if (this.#state.name !== 'stopped') {
      clearTimeout(this.#state.timer);
      this.#state = { name: 'stopped' };
    }
  }

  #ask() {
    const unsent = this.#handlers.unsent();
    this.#handlers.ask();
    this.#await({ due: performance.now() + ANSWER_MS, unsent, hasCaughtUp: false }, ANSWER_MS);
  }

  /** @param {Omit<Asked, 'name' | 'timer'>} asked @param {number} delay */
  #await(asked, delay) {
    this.stop();
    this.#state = { ...asked, name: 'asked', timer: setTimeout(() => this.#overdue(), delay) };
  }

  #overdue() {
    const asked = this.#state;
    if (asked.name !== 'asked') {
      return;
    }
    if (this.#handlers.unsent() < asked.unsent) {
      // A slow line: the question waits behind what the page has sent, and that moves.
      this.#ask();
    } else if (!asked.hasCaughtUp && performance.now() - asked.due > LATE_MS) {
      this.#await({ ...asked, hasCaughtUp: true }, CATCH_UP_MS);
    } else {
      this.stop();
      this.#handlers.lost();
    }
  }
}
