/**
 * Points in time on both clocks of a page. On some systems `performance.now()` stops during sleep, and `Date.now()` can be set
 * back. The longer of the two durations is therefore never too short, unless both happen together.
 */

/**
 * @typedef {object} Moment
 * @property {number} monotonic value of `performance.now()`
 * @property {number} wall value of `Date.now()`
 */

/** @returns {Moment} */
export const momentNow = () => ({ monotonic: performance.now(), wall: Date.now() });

/** @param {Moment} moment @param {number} milliseconds may be negative @returns {Moment} */
export const earlierBy = ({ monotonic, wall }, milliseconds) => ({ monotonic: monotonic - milliseconds, wall: wall - milliseconds });

/** The earlier value on each clock. @param {Moment} one @param {Moment} other @returns {Moment} */
export const earlierOf = (one, other) => ({
  monotonic: Math.min(one.monotonic, other.monotonic),
  wall: Math.min(one.wall, other.wall),
});

/** Milliseconds from one moment to the other; negative if `to` is earlier. @param {Moment} from @param {Moment} to */
export const elapsed = (from, to) => Math.max(to.monotonic - from.monotonic, to.wall - from.wall);

/** Number of moments in a timeline: two per connection, so four connections. */
const MAX_MOMENTS = 8;

/**
 * Converts values of `performance.now()` to moments.
 *
 * Counts from the last noted moment before the value and ignores any sleep in between, so the result may be too early, never
 * too late. Bound: `MAX_MOMENTS` moments.
 */
export class Timeline {
  /** Newest first. @type {Moment[]} */
  #noted = [momentNow()];

  note() {
    this.#noted = [momentNow(), ...this.#noted].slice(0, MAX_MOMENTS);
  }

  /** @param {number} monotonic @returns {Moment} */
  at(monotonic) {
    const before = this.#noted.find((moment) => moment.monotonic <= monotonic) ?? { monotonic: 0, wall: performance.timeOrigin };
    return earlierBy(before, before.monotonic - monotonic);
  }
}
