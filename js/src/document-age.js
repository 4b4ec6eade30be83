/**
 * When the page that a document shows was requested, where the page itself does not say.
 *
 *   a document from the network                      the start of its request
 *   from a cache, a service worker or a prerender    nobody knows
 *   a page that Turbo has put in                     the start of its last request, for which each element counts that comes
 *                                                    later. What it had fetched in advance is older than that: such pages need
 *                                                    the stamp
 *
 * Owns one listener, for as long as the document lives.
 */
import { momentNow } from './moment.js';

/** @typedef {import('./moment.js').Moment} Moment */
/** Not all of it is in every browser. @typedef {PerformanceNavigationTiming & { deliveryType?: string, activationStart?: number }} Timing */

export class DocumentAge {
  /** @type {Moment | null} */
  #requested = null;

  constructor() {
    // Outside of a browser there is none.
    globalThis.document?.addEventListener('turbo:before-fetch-request', () => {
      this.#requested = momentNow();
    });
  }

  /** Of an element that comes now; null: nobody knows. @returns {Moment | null} */
  guess() {
    return this.#requested ?? ofDocument();
  }
}

/** @returns {Moment | null} */
function ofDocument() {
  const [timing] = /** @type {Timing[]} */ (performance.getEntriesByType('navigation'));
  if (timing === undefined || !isFromNetwork(timing)) {
    return null;
  }
  return { monotonic: timing.fetchStart, wall: performance.timeOrigin + timing.fetchStart };
}

/** What the server has confirmed (304) counts: that took bytes. @param {Timing} timing */
const isFromNetwork = ({ transferSize, deliveryType = '', workerStart, activationStart = 0 }) =>
  transferSize > 0 && deliveryType === '' && workerStart === 0 && activationStart === 0;
