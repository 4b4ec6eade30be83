/**
 * Estimates when a page was requested if the page has no `rendered` stamp.
 *
 *   document from the network                         start of its request
 *   document from a cache, service worker, prerender  unknown
 *   page inserted by Turbo                            start of the last page request before the element appeared; a page that
 *                                                     Turbo prefetched is older and needs the stamp
 *
 * For a page with a stamp it gives the latest possible request time: the clocks of two PHP hosts may differ.
 *
 * Owns one event listener, for the lifetime of the document.
 */
import { momentNow } from './moment.js';

/** @typedef {import('./moment.js').Moment} Moment */
/**
 * Not every browser has all of these properties.
 *
 * @typedef {PerformanceNavigationTiming & { deliveryType?: string, activationStart?: number }} Timing
 */

export class DocumentAge {
  /** @type {Moment | null} */
  #requested = null;

  constructor() {
    // There is no document outside a browser.
    globalThis.document?.addEventListener('turbo:before-fetch-request', (event) => {
      if (isForPage(/** @type {CustomEvent} */ (event))) {
        this.#requested = momentNow();
      }
    });
  }

  /** Request time of an element that appears now; null: unknown. @returns {Moment | null} */
  guess() {
    return this.#requested ?? ofDocument();
  }

  /**
   * Latest possible request time of an element that appears now, whatever its source. An element that is inserted into a loaded
   * document may have been requested just before.
   *
   * @returns {Moment}
   */
  latest() {
    return this.#requested ?? (document.readyState === 'complete' ? momentNow() : (startOfDocument() ?? momentNow()));
  }
}

/** Whether Turbo requests a page that it is about to show: neither a frame nor a prefetch. @param {CustomEvent} event */
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

/** A 304 counts as the network: its headers were transferred. @param {Timing} timing */
const isFromNetwork = ({ transferSize, deliveryType = '', workerStart, activationStart = 0 }) =>
  transferSize > 0 && deliveryType === '' && workerStart === 0 && activationStart === 0;
