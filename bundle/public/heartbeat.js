/**
 * Detects a connection that looks open but is dead.
 *
 *            silence, or check()              no answer
 *   idle ───────────────────────▶ asked ──────────────────▶ lost
 *    ▲         any message         │
 *    └─────────────────────────────┘
 *
 * The packets of an open WebSocket may vanish: a laptop slept, a NAT entry expired. Browsers do not expose the server's pings
 * to scripts, so the page sends a question of its own. Any message counts as the answer. Owns one timer. Bound: a dead
 * connection is detected within `QUIET_MS + ANSWER_MS` of the last message, and within `ANSWER_MS` of `check()`. Knows neither
 * the question nor what follows a lost connection.
 *
 * Browsers delay the timers of a hidden tab by a second, or up to the next full minute. That delays the detection and never
 * causes a false one.
 */

/**
 * Maximum silence before a question. Jitter: each page asks at a random time in the last fifth, so pages that received the same
 * event do not ask at the same moment. Below the server's ping interval (`limits.ping_interval_seconds`, 30 s), so only one
 * side asks.
 */
export const QUIET_MS = 25_000;

/** Time limit for the answer to a question. */
export const ANSWER_MS = 5_000;

/** A timer that fires this late means that the page itself was suspended. */
const LATE_MS = 1_000;

/** Messages that arrived during the suspension are delivered within this time after it. */
const CATCH_UP_MS = 1_000;

/** @typedef {ReturnType<typeof setTimeout>} Timer */
/** @typedef {{ name: 'stopped' }} Stopped */
/** @typedef {{ name: 'idle', timer: Timer }} Idle */
/**
 * @typedef {object} Asked
 * @property {'asked'} name
 * @property {Timer} timer
 * @property {number} due deadline of the answer, a value of `performance.now()`
 * @property {number} unsent bytes in the send buffer before the question
 * @property {boolean} hasCaughtUp the deadline has passed, and the grace period `CATCH_UP_MS` was granted
 */

/**
 * @typedef {object} HeartbeatHandlers
 * @property {() => void} ask sends a question that the server answers immediately
 * @property {() => number} unsent bytes in the send buffer
 * @property {() => void} lost
 */

export class Heartbeat {
  #handlers;
  #random;
  /** @type {Stopped | Idle | Asked} */
  #state = { name: 'stopped' };

  /** @param {HeartbeatHandlers} handlers @param {() => number} random 0 to 1 */
  constructor(handlers, random) {
    this.#handlers = handlers;
    this.#random = random;
  }

  /** Restarts the idle timer: the connection was opened, or a message arrived. */
  heard() {
    this.stop();
    const quiet = QUIET_MS * (1 - this.#random() / 5);
    this.#state = { name: 'idle', timer: setTimeout(() => this.#ask(), quiet) };
  }

  /** Asks immediately: the page became visible or the network changed, so the connection may be dead. */
  check() {
    const state = this.#state;
    if (state.name === 'idle') {
      this.#ask();
    } else if (state.name === 'asked' && !state.hasCaughtUp) {
      // The timer was set while the tab was hidden, and may be late.
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
      // A slow line: the question is queued behind other data, and that data is being sent.
      this.#ask();
    } else if (!asked.hasCaughtUp && performance.now() - asked.due > LATE_MS) {
      this.#await({ ...asked, hasCaughtUp: true }, CATCH_UP_MS);
    } else {
      this.stop();
      this.#handlers.lost();
    }
  }
}
