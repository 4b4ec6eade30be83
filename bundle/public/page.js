/**
 * The element `<orosync-page>`: connects a page and reports outdated content. The bundle's Twig function `orosync_page()`
 * renders it and loads this module.
 *
 *   client    JSON: `{url, ticketUrl, userName, userId, role, organizationId}`
 *   tags      JSON: the content tags of what the page shows
 *   rendered  JSON: `{at}`, when PHP began to render the page, by PHP's clock in milliseconds since 1970; changes after that are
 *             reported. Without it the time is estimated (`document-age.js`)
 *   texts     JSON: texts of the messages, `{outdated: {message, uncertain, reload, dismiss}, maintenance: {message, dismiss}}`
 *   warnings  `off`: no console warnings about lost connections and refused topics
 *
 * All elements of a document share one connection, which lasts while pages change within the document (Turbo). The module
 * exports its client for the application's own topics: `import { client } from '…/page.js'`. The elements dispatch these
 * events, which bubble:
 *
 *   orosync-state      `{state}`: state of the client, on each change and for each new element
 *   orosync-outdated   `{tags, userNames, isCertain}`: somebody else changed the content of the page; `isCertain: false`:
 *                      possibly, because events were missed. `preventDefault()` suppresses the message
 */
import { LiveDocument } from './live-document.js';

const NAME = 'orosync-page';

/** Marks registered content. Turbo copies it with the element, which identifies snapshots. */
const CONTENT_ID = 'data-orosync-content';

export class OrosyncPage extends HTMLElement {
  static observedAttributes = ['client', 'tags', 'rendered', CONTENT_ID];
  static #document = new LiveDocument();

  /** The client of the document, across users and pages. */
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
   * Detects new content in the same element: morphing changes its attributes, or at least removes the one added here.
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

  /** The client of the document, as exported by this module. */
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
  dispatchState(state) {
    this.dispatchEvent(new CustomEvent('orosync-state', { bubbles: true, detail: { state } }));
  }

  /** @param {import('./content-tracker.js').Outdated} outdated */
  dispatchOutdated(outdated) {
    return this.dispatchEvent(new CustomEvent('orosync-outdated', { bubbles: true, cancelable: true, detail: outdated }));
  }
}

// A document may load a second copy of this module: a bundled one, or that of the next deployment.
if (customElements.get(NAME) === undefined) {
  customElements.define(NAME, OrosyncPage);
}

/** The client of the document, from the copy of this module that was loaded first. */
export const { client } = /** @type {typeof OrosyncPage} */ (customElements.get(NAME));
