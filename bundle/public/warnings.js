/**
 * Warnings in the browser's console about lost connections and refused topics.
 *
 * Each cause is reported once, with what to check; causes of a lost connection are reported again after the next connection.
 * Bounds: `MAX_CAUSES` causes between two connections, `MAX_TOPICS` refused topics; further ones are dropped.
 */

const MAX_CAUSES = 20;
const MAX_TOPICS = 100;

const NO_CLOSE_FRAME = 1006;

export class Warnings {
  #url;
  #isOn;
  /** @type {Set<string>} */
  #causes = new Set();
  /** @type {Set<string>} */
  #topics = new Set();

  /** @param {() => URL} url of the server, without a ticket @param {() => boolean} isOn called before each warning */
  constructor(url, isOn) {
    this.#url = url;
    this.#isOn = isOn;
  }

  connected() {
    this.#causes.clear();
  }

  /** @param {import('./socket.js').Ended} ended an end that the page did not cause */
  disconnected({ code, reason, willRetry }) {
    const cause = `${code} ${reason}`;
    if (!this.#isOn() || this.#causes.has(cause) || this.#causes.size >= MAX_CAUSES) {
      return;
    }
    this.#causes.add(cause);
    const next = willRetry ? 'Retrying.' : 'Not retrying: call connect() or load a page.';
    console.warn(`Orosync: not connected to ${this.#address()} (${code}): ${reason}. ${next}${adviceOn(code)}`);
  }

  /** @param {{ topic: string, reason: string }} refused */
  refused({ topic, reason }) {
    if (!this.#isOn() || this.#topics.has(topic) || this.#topics.size >= MAX_TOPICS) {
      return;
    }
    this.#topics.add(topic);
    console.warn(
      `Orosync: the server refused the topic "${topic}"${reason === '' ? '' : `: ${reason}`}. The policy of a topic says who may `
      + 'subscribe and publish: orosync.topics, or [[topics]] in the configuration of orosync-server.',
    );
  }

  #address() {
    try {
      const { origin, pathname } = this.#url();
      return `${origin}${pathname}`;
    } catch {
      return 'the server'; // the reason contains the problem of the address
    }
  }
}

/** @param {number} code */
function adviceOn(code) {
  // For a ticket endpoint or a Close frame the reason is explicit.
  return code !== NO_CLOSE_FRAME
    ? ''
    : ' Check that orosync-server runs, that the reverse proxy passes this address on (orosync.frontend), and that pages of '
      + `${globalThis.location?.host ?? 'this host'} may connect (auth.allowed_origins). The server logs why it refuses a connection.`;
}
