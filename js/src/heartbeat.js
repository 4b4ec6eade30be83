/**
 * Detects a connection that looks open but is dead.
 *
 *            silence, or check()              no answer
 *   idle ──────────────────────▶ pinged ──────────────────▶ lost
 *    ▲         any message         │
 *    └─────────────────────────────┘
 *
 * The packets of an open WebSocket may vanish: a laptop slept, a NAT entry expired. Browsers do not expose the server's pings
 * to scripts, so the page sends a ping of its own. Any message counts as the answer. Owns one timer. Bound: a dead connection is
 * detected within `QUIET_MS + ANSWER_MS` of the last message, and within `ANSWER_MS` of `check()`. Knows neither the message
 * that is sent as a ping nor what follows a lost connection.
 *
 * Browsers delay the timers of a hidden tab by a second, or up to the next full minute. That delays the detection and never
 * causes a false one.
 */

/**
 * Maximum silence before a ping. Jitter: each page sends it at a random time in the last fifth, so that pages that received the
 * same event do not ping at the same moment. Below the server's ping interval (`limits.ping_interval_seconds`, 30 s), so that
 * only one side pings.
 */
export const QUIET_MS = 25_000;

/** Time limit for the answer to a ping. */
export const ANSWER_MS = 5_000;

/** A timer that fires this late means that the page itself was suspended. */
const LATE_MS = 1_000;

/** Messages that arrived during the suspension are delivered within this time after it. */
const CATCH_UP_MS = 1_000;

/** @typedef {ReturnType<typeof setTimeout>} Timer */
/** @typedef {{ name: 'stopped' }} Stopped */
/** @typedef {{ name: 'idle', timer: Timer }} Idle */
/**
 * @typedef {object} Pinged
 * @property {'pinged'} name
 * @property {Timer} timer
 * @property {number} deadline deadline of the answer, a value of `performance.now()`
 * @property {number} unsent bytes in the send buffer before the ping
 * @property {boolean} isInGracePeriod the deadline has passed, and the grace period `CATCH_UP_MS` was granted
 */

/**
 * @typedef {object} HeartbeatHandlers
 * @property {() => void} ping sends a call that the server answers immediately
 * @property {() => number} unsent bytes in the send buffer
 * @property {() => void} lost
 */

export class Heartbeat {
  #handlers;
  #random;
  /** @type {Stopped | Idle | Pinged} */
  #state = { name: 'stopped' };

  /** @param {HeartbeatHandlers} handlers @param {() => number} random 0 to 1 */
  constructor(handlers, random) {
    this.#handlers = handlers;
    this.#random = random;
  }

  /** Restarts the idle timer: the connection was opened, or a message arrived. */
  received() {
    this.stop();
    const quiet = QUIET_MS * (1 - this.#random() / 5);
    this.#state = { name: 'idle', timer: setTimeout(() => this.#ping(), quiet) };
  }

  /** Pings immediately: the page became visible or the network changed, so the connection may be dead. */
  check() {
    const state = this.#state;
    if (state.name === 'idle') {
      this.#ping();
    } else if (state.name === 'pinged' && !state.isInGracePeriod) {
      // The timer was set while the tab was hidden, and may be late.
      this.#await(state, state.deadline - performance.now());
    }
  }

  stop() {
    if (this.#state.name !== 'stopped') {
      clearTimeout(this.#state.timer);
      this.#state = { name: 'stopped' };
    }
  }

  #ping() {
    const unsent = this.#handlers.unsent();
    this.#handlers.ping();
    this.#await({ deadline: performance.now() + ANSWER_MS, unsent, isInGracePeriod: false }, ANSWER_MS);
  }

  /** @param {Omit<Pinged, 'name' | 'timer'>} pinged @param {number} delay */
  #await(pinged, delay) {
    this.stop();
    this.#state = { ...pinged, name: 'pinged', timer: setTimeout(() => this.#overdue(), delay) };
  }

  #overdue() {
    const pinged = this.#state;
    if (pinged.name !== 'pinged') {
      return;
    }
    if (this.#handlers.unsent() < pinged.unsent) {
      // A slow line: the ping is queued behind other data, and that data is being sent.
      this.#ping();
    } else if (!pinged.isInGracePeriod && performance.now() - pinged.deadline > LATE_MS) {
      this.#await({ ...pinged, isInGracePeriod: true }, CATCH_UP_MS);
    } else {
      this.stop();
      this.#handlers.lost();
    }
  }
}
