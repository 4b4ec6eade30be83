/**
 * `<orosync-page>`: makes a page live. The bundle's Twig function `orosync_page()` renders it, with this module.
 *
 *   client    JSON: `{url, ticketUrl, userName, userId, role, organizationId}`
 *   tags      JSON: the content tags of what the page shows
 *   rendered  JSON: `{at}`, when PHP began to render it, by its clock in milliseconds since 1970; so it shows what was changed
 *             after that. Without it that is guessed (`document-age.js`)
 *   texts     JSON: what people read, `{outdated: {message, uncertain, reload, dismiss}, maintenance: {message, dismiss}}`
 *   warnings  `off`: nothing in the console about lost connections and refused topics
 *
 * All elements of a document share one connection, also where pages come and go without a new document (Turbo). Its client is
 * exported, for topics of the application's own: `import { client } from '…/page.js'`. What an application can hear from an
 * element, or from the document that it is in:
 *
 *   orosync-state      `{state}`: of the client; also when an element has joined
 *   orosync-outdated   `{tags, userNames, certain}`: what the page shows was changed by somebody else; not `certain`: that may
 *                      be so, for events were missed. `preventDefault()`: the application says so itself
 */
import { LiveDocument } from './live-document.js';

const NAME = 'orosync-page';

/** Copied with the element, so that a copy is known as one. */
const CONTENT_ID = 'data-orosync-content';

export class OrosyncPage extends HTMLElement {
  static observedAttributes = ['client', 'tags', 'rendered', CONTENT_ID];
  static #document = new LiveDocument();

  /** The document's connection, whoever signs in and whatever is visited. */
  static get client() {
    return OrosyncPage.#document.client;
  }

  connectedCallback() {
    OrosyncPage.#document.add(this);
  }

  disconnectedCallback() {
    OrosyncPage.#document.remove(this);
  }

  /**
   * A page that is loaded anew within its elements has other attributes, or at least not what was added here.
   *
   * @param {string} name
   * @param {string | null} before
   * @param {string | null} value
   */
  attributeChangedCallback(name, before, value) {
    if (!this.isConnected || before === value) {
      return;
    }
    if (name !== CONTENT_ID) {
      this.contentId = null;
    } else if (value === null) {
      OrosyncPage.#document.changed();
    }
  }

  /** The document's connection, as this module exports it. */
  get client() {
    return OrosyncPage.client;
  }

  /** @type {import('./live-document.js').PageSettings} */
  get settings() {
    return JSON.parse(this.getAttribute('client') ?? '');
  }

  /** @type {string[]} */
  get tags() {
    return JSON.parse(this.getAttribute('tags') ?? '[]');
  }

  /** @type {number | null} */
  get renderedAt() {
    const { at } = Object(JSON.parse(this.getAttribute('rendered') ?? 'null'));
    return Number.isFinite(at) ? at : null;
  }

  get warnings() {
    return this.getAttribute('warnings') !== 'off';
  }

  /** @type {import('./live-document.js').PageElement['texts']} */
  get texts() {
    return JSON.parse(this.getAttribute('texts') ?? '{}');
  }

  /** @type {string | null} */
  get contentId() {
    return this.getAttribute(CONTENT_ID);
  }

  set contentId(id) {
    if (id === null) {
      this.removeAttribute(CONTENT_ID);
    } else {
      this.setAttribute(CONTENT_ID, id);
    }
  }

  /** @param {import('./socket.js').StateName} state */
  tellState(state) {
    this.dispatchEvent(new CustomEvent('orosync-state', { bubbles: true, detail: { state } }));
  }

  /** @param {import('./content-tracker.js').Outdated} outdated */
  tellOutdated(outdated) {
    return this.dispatchEvent(new CustomEvent('orosync-outdated', { bubbles: true, cancelable: true, detail: outdated }));
  }
}

// A document may load a second copy from another address: what a build has made of this module, or the next deployment's.
if (customElements.get(NAME) === undefined) {
  customElements.define(NAME, OrosyncPage);
}

/** The document's connection: that of the copy which came first. */
export const { client } = /** @type {typeof OrosyncPage} */ (customElements.get(NAME));
