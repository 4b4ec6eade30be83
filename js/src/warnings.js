/**
 * What goes wrong, in the browser's console: where a developer looks first.
 *
 * Each cause is told once, with what to look at; a cause of a lost connection again after the page was connected. Bounds:
 * `MAX_CAUSES` until then, and `MAX_TOPICS` refused topics; more are not told.
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

  /** @param {() => URL} url of the server, without a ticket @param {() => boolean} isOn asked each time */
  constructor(url, isOn) {
    this.#url = url;
    this.#isOn = isOn;
  }

  connected() {
    this.#causes.clear();
  }

  /** @param {import('./socket.js').Ended} ended the end of a connection or of an attempt, not of the page's own making */
  disconnected({ code, reason, willRetry }) {
    const cause = `${code} ${reason}`;
    if (!this.#isOn() || this.#causes.has(cause) || this.#causes.size >= MAX_CAUSES) {
      return;
    }
    this.#causes.add(cause);
    const next = willRetry ? 'It is tried again.' : 'Only connect() tries again, or another page.';
    console.warn(`Orosync: not connected to ${this.#address()} (${code}): ${reason}. ${next}${adviceOn(code)}`);
  }

  /** @param {{ topic: string, reason: string }} refused */
  refused({ topic, reason }) {
    if (!this.#isOn() || this.#topics.has(topic) || this.#topics.size >= MAX_TOPICS) {
      return;
    }
    this.#topics.add(topic);
    console.warn(
      `Orosync: the server refused the topic "${topic}"${reason === '' ? '' : `: ${reason}`}. Who may subscribe and publish to `
      + 'a topic is what its policy says: orosync.topics, or [[topics]] in the configuration of orosync-server.',
    );
  }

  #address() {
    try {
      const { origin, pathname } = this.#url();
      return `${origin}${pathname}`;
    } catch {
      return 'the server'; // what is wrong with its address is the reason that is told
    }
  }
}

/** @param {number} code */
function adviceOn(code) {
  // What a ticket endpoint and a Close frame say is said in the reason.
  return code !== NO_CLOSE_FRAME
    ? ''
    : ' Does orosync-server run, does the reverse proxy pass this address on (orosync.frontend), and may pages of '
      + `${globalThis.location?.host ?? 'this host'} connect (auth.allowed_origins)? Whom the server refuses stands in its log.`;
}
