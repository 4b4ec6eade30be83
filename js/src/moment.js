/**
 * Points in time, by both clocks of a page: `performance.now()` stands still while some systems sleep, and `Date.now()` can be
 * set. The longer of the two durations is never shorter than what has passed, unless both happen at once.
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

/** No later than either, by both clocks. @param {Moment} one @param {Moment} other @returns {Moment} */
export const earlierOf = (one, other) => ({
  monotonic: Math.min(one.monotonic, other.monotonic),
  wall: Math.min(one.wall, other.wall),
});

/** Milliseconds; negative if `to` is the earlier one. @param {Moment} from @param {Moment} to */
export const elapsed = (from, to) => Math.max(to.monotonic - from.monotonic, to.wall - from.wall);

/** Moments that a timeline keeps: those of four connections, beside the beginning of the page. */
const KEPT = 8;

/**
 * Tells what `Date.now()` was when `performance.now()` had a value.
 *
 * Counts from the last moment noted before, and leaves out what the system has slept in between: so it may say too early, and
 * never too late. Bound: `KEPT` moments.
 */
export class Timeline {
  /** Newest first. @type {Moment[]} */
  #noted = [momentNow()];

  note() {
    this.#noted = [momentNow(), ...this.#noted].slice(0, KEPT);
  }

  /** @param {number} monotonic @returns {Moment} */
  at(monotonic) {
    const before = this.#noted.find((moment) => moment.monotonic <= monotonic) ?? { monotonic: 0, wall: performance.timeOrigin };
    return earlierBy(before, before.monotonic - monotonic);
  }
}
