/**
 * When the page that a document shows was requested, where the page itself does not say.
 *
 *   a document from the network                      the start of its request
 *   from a cache, a service worker or a prerender    nobody knows
 *   a page that Turbo has put in                     the start of its last request, for which each element counts that comes
 *                                                    later. What it had fetched in advance is older than that: such pages need
 *                                                    the stamp
 *
 * And by when at the latest, where the page does say it: the clock of one host of PHP may be ahead of another's.
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
    globalThis.document?.addEventListener('turbo:before-fetch-request', (event) => {
      if (isForPage(/** @type {CustomEvent} */ (event))) {
        this.#requested = momentNow();
      }
    });
  }

  /** Of an element that comes now; null: nobody knows. @returns {Moment | null} */
  guess() {
    return this.#requested ?? ofDocument();
  }

  /**
   * By when an element was requested that comes now, whatever it came out of: an element that is put into a document later may
   * have been requested right before.
   *
   * @returns {Moment}
   */
  latest() {
    return this.#requested ?? (document.readyState === 'complete' ? momentNow() : (startOfDocument() ?? momentNow()));
  }
}

/** Neither for a part of the page (a frame) nor for one that may be visited later. @param {CustomEvent} event */
function isForPage({ target, detail }) {
  const headers = new Headers(detail?.fetchOptions?.headers);
  const purpose = headers.get('X-Sec-Purpose') ?? headers.get('Sec-Purpose') ?? '';
  return !(target instanceof Element && target.localName === 'turbo-frame') && !purpose.includes('prefetch');
}

/** @returns {Moment | null} */
function ofDocument() {
  const timing = navigation();
  return timing !== undefined && isFromNetwork(timing) ? startOf(timing) : null;
}

function startOfDocument() {
  const timing = navigation();
  return timing === undefined ? null : startOf(timing);
}

const navigation = () => /** @type {Timing | undefined} */ (performance.getEntriesByType('navigation')[0]);

/** @param {Timing} timing @returns {Moment} */
const startOf = ({ fetchStart }) => ({ monotonic: fetchStart, wall: performance.timeOrigin + fetchStart });

/** What the server has confirmed (304) counts: that took bytes. @param {Timing} timing */
const isFromNetwork = ({ transferSize, deliveryType = '', workerStart, activationStart = 0 }) =>
  transferSize > 0 && deliveryType === '' && workerStart === 0 && activationStart === 0;
