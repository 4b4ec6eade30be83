/**
 * The live side of one document, whatever is visited in it: one connection, and the content of the `<orosync-page>` that are in it.
 *
 *   an element that is new    its identity is who this document is now; its tags are content that was just loaded
 *   one of a snapshot         content that was loaded before (Turbo restores what it has kept): it is outdated if it was changed
 *                             since then. Says nothing of who this document is now
 *   one in a preview          nothing, for the page is about to come
 *
 * Content is as old as its page: what was changed after PHP began to render it is news. PHP's clock stands in the page and in each
 * answer of the ticket endpoint, so no clock of a browser is compared with it. The two may come from hosts whose clocks differ:
 * a page is never younger than its request, as far as the browser knows that. Without such a stamp the age is guessed
 * (`document-age.js`).
 *
 * Owns the client, one for as long as the document lives, so that what an application has subscribed to holds whoever signs in:
 * it connects anew when the identity changes, and is closed while there is no element. Owns the messages of these pages.
 * Bound: `MAX_CONTENTS`; the content that was left first is forgotten.
 */
import { OrosyncClient } from './client.js';
import { ContentTracker } from './content-tracker.js';
import { DocumentAge } from './document-age.js';
import { showFlash } from './flash.js';
import { Maintenance } from './maintenance.js';
import { earlierBy, earlierOf, momentNow } from './moment.js';
import { TicketRefusedError, ticketsFrom } from './ticket.js';

/** What an application reads that connects before there is a page to connect for. */
const NO_PAGE = 'there was no <orosync-page> in this document yet';

/** More than Turbo keeps snapshots of (10). */
const MAX_CONTENTS = 20;

/** A page may be taken out a while before the next one is put in: what animates the change does so. */
const GRACE_MS = 1_000;

/**
 * @typedef {object} PageSettings
 * @property {string} url
 * @property {string} ticketUrl
 * @property {string | null} userName
 * @property {number | string | null} userId
 * @property {string} role
 * @property {number | null} organizationId
 */

/** @typedef {Partial<import('./flash.js').FlashTexts>} Texts */
/** @typedef {import('./content-tracker.js').Outdated} Outdated */
/** @typedef {import('./moment.js').Moment} Moment */

/**
 * What the document needs of an element.
 *
 * @typedef {object} PageElement
 * @property {PageSettings} settings
 * @property {string[]} tags
 * @property {number | null} renderedAt in milliseconds since 1970, by PHP's clock; null: not known
 * @property {boolean} warnings whether the console says what goes wrong
 * @property {{ outdated: Texts, maintenance: Texts }} texts
 * @property {string | null} contentId which content it shows, once that is known here; copied with the element
 * @property {(state: import('./socket.js').StateName) => void} tellState
 * @property {(outdated: Outdated) => boolean} tellOutdated false: the application shows it itself
 */

/**
 * @typedef {object} Content
 * @property {PageElement | null} element null: left, and perhaps kept by Turbo
 * @property {Outdated | null} outdated what became outdated so far
 * @property {() => void} forget
 * @property {() => void} dismiss takes its message away
 */

/**
 * @typedef {object} Connection
 * @property {string} identity
 * @property {string} url
 * @property {ContentTracker} tracker
 * @property {Maintenance} maintenance
 */

export class LiveDocument {
  /** In order of arrival. @type {Set<PageElement>} */
  #elements = new Set();
  /** @type {Map<string, Content>} */
  #contents = new Map();
  #contentCount = 0;
  /** @type {Connection | null} */
  #connection = null;
  #ticketUrl = '';
  /** What PHP's clock was, at that moment or a little later; null: not known. @type {{ now: number, asked: Moment } | null} */
  #clock = null;
  #age = new DocumentAge();
  #warnings = true;
  /** @type {PageElement['texts'] | null} */
  #texts = null;
  #isSettling = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #leaving;
  /** Whether this page should say that the site is in maintenance: it is, and nobody has dismissed that. */
  #saysMaintenance = false;
  #dismissMaintenance = () => {};

  /** Of the document. An application may subscribe before there is an element. */
  client = new OrosyncClient({
    url: () => this.#url(),
    ticket: async (signal, topics) => this.#ticket(signal, topics),
    warnings: () => this.#warnings,
  });

  constructor() {
    this.client.on('state', (state) => this.#elements.forEach((element) => element.tellState(state)));
  }

  /** @param {PageElement} element */
  add(element) {
    this.#elements.add(element);
    this.changed();
  }

  /** @param {PageElement} element */
  remove(element) {
    this.#elements.delete(element);
    this.changed();
  }

  /** Looks at the elements, once all that happens to them at this moment has happened. */
  changed() {
    if (!this.#isSettling) {
      this.#isSettling = true;
      queueMicrotask(() => this.#settle());
    }
  }

  #settle() {
    this.#isSettling = false;
    clearTimeout(this.#leaving);
    const elements = isPreview() ? [] : [...this.#elements];
    const newest = elements.filter(isNew).at(-1) ?? elements.at(-1);
    if (newest !== undefined) {
      this.#connectFor(newest);
    } else if (this.#elements.size === 0) {
      this.#leaving = setTimeout(() => this.#disconnect(), GRACE_MS);
    }
    // The new before the old: while pages change there is always something to listen for.
    elements.forEach((element) => this.#show(element));
    this.#contents.forEach((content, id) => {
      if (content.element !== null && !(elements.includes(content.element) && content.element.contentId === id)) {
        leave(content);
      }
    });
    this.#forgetOldest();
    if (newest !== undefined && this.#saysMaintenance) {
      this.#showMaintenance();
    }
  }

  /** @param {PageElement} element */
  #connectFor(element) {
    const { url, ticketUrl, userName, userId, role, organizationId } = element.settings;
    const identity = JSON.stringify([url, userName, userId, role, organizationId]);
    this.#texts = element.texts;
    this.#warnings = element.warnings;
    if (this.#connection !== null && !isNew(element)) {
      return;
    }
    this.#ticketUrl = ticketUrl;
    if (this.#connection?.identity !== identity) {
      this.#disconnect();
      this.#connection = {
        identity,
        url,
        tracker: new ContentTracker(this.client, { userName }),
        maintenance: new Maintenance(this.client, { userId, onChange: (isOn) => this.#maintenanceChanged(isOn) }),
      };
    }
    // A new page is a new try, as where a whole document is loaded: somebody may have signed in meanwhile.
    this.client.connect();
  }

  #disconnect() {
    this.#contents.forEach(leave);
    this.#contents.clear();
    this.#connection?.maintenance.close();
    this.#connection?.tracker.close();
    this.client.close();
    this.#connection = null;
    this.#maintenanceChanged(false);
  }

  #url() {
    if (this.#connection === null) {
      throw new TypeError(NO_PAGE);
    }
    return this.#connection.url;
  }

  /** @param {AbortSignal} signal @param {string[]} topics */
  async #ticket(signal, topics) {
    if (this.#connection === null) {
      throw new TicketRefusedError(NO_PAGE);
    }
    const asked = momentNow();
    const answer = await ticketsFrom(this.#ticketUrl, {})(signal, topics);
    if (typeof answer === 'object' && answer?.now !== undefined) {
      this.#clock = { now: answer.now, asked };
    }
    return answer;
  }

  /** @param {PageElement} element */
  #show(element) {
    const known = element.contentId === null ? undefined : this.#contents.get(element.contentId);
    if (known?.element === element) {
      return;
    }
    if (known?.element === null) {
      known.element = element;
      this.#tell(known, known.outdated);
    } else {
      // One of a snapshot that was forgotten is as old as its stamp says.
      const guessed = isNew(element) ? this.#age.guess() : null;
      this.#contentCount += 1;
      element.contentId = String(this.#contentCount);
      this.#contents.set(element.contentId, this.#contentOf(element, guessed));
    }
    element.tellState(this.client.state);
  }

  /**
   * @param {PageElement} element
   * @param {Moment | null} guessed when it was requested, if it has no stamp; null: nobody knows
   * @returns {Content}
   */
  #contentOf(element, guessed) {
    /** @type {Content} */
    const content = { element, outdated: null, forget: () => {}, dismiss: () => {} };
    if (element.tags.length > 0 && this.#connection !== null) {
      content.forget = this.#connection.tracker.tagContent(
        element.tags,
        (outdated) => {
          if (outdated.certain && content.outdated?.certain === false) {
            // That it may be out of date is no news any more, whoever says that it is.
            content.dismiss();
          }
          content.outdated = together(content.outdated, outdated);
          this.#tell(content, outdated);
        },
        { since: this.#sinceOf(element.renderedAt, guessed) },
      );
    }
    return content;
  }

  /**
   * When content was requested that comes now: the tracker asks once it has a session, for the ticket says what PHP's clock is.
   *
   * @param {number | null} renderedAt
   * @param {Moment | null} guessed
   */
  #sinceOf(renderedAt, guessed) {
    if (renderedAt === null) {
      return guessed === null ? null : () => guessed;
    }
    const latest = this.#age.latest();
    return () =>
      this.#clock === null ? guessed : earlierOf(latest, earlierBy(this.#clock.asked, this.#clock.now - renderedAt));
  }

  /** @param {Content} content @param {Outdated | null} outdated */
  #tell(content, outdated) {
    const { element } = content;
    if (element !== null && outdated !== null && element.tellOutdated(outdated)) {
      content.dismiss = showFlash({ kind: 'outdated', certain: outdated.certain, texts: element.texts.outdated });
    }
  }

  #forgetOldest() {
    for (const [id, { element, forget }] of this.#contents) {
      if (this.#contents.size <= MAX_CONTENTS) {
        return;
      }
      if (element === null) {
        forget();
        this.#contents.delete(id);
      }
    }
  }

  /** @param {boolean} isOn */
  #maintenanceChanged(isOn) {
    this.#saysMaintenance = isOn;
    if (isOn) {
      this.#showMaintenance();
    } else {
      this.#dismissMaintenance();
    }
  }

  #showMaintenance() {
    this.#dismissMaintenance = showFlash({
      kind: 'maintenance',
      texts: this.#texts?.maintenance,
      onDismiss: () => {
        this.#saysMaintenance = false;
      },
    });
  }
}

/** It was not in this document before, nor was what it is a copy of. @param {PageElement} element */
const isNew = ({ contentId }) => contentId === null;

/** Turbo shows what it has kept of a page until the page comes. */
const isPreview = () => document.documentElement.hasAttribute('data-turbo-preview');

/** @param {Content} content */
function leave(content) {
  content.element = null;
  content.dismiss();
  content.dismiss = () => {};
}

/** Certain once one of them is. @param {Outdated | null} before @param {Outdated} outdated @returns {Outdated} */
const together = (before, { tags, userNames, certain }) => ({
  tags: [...new Set([...(before?.tags ?? []), ...tags])],
  userNames: [...new Set([...(before?.userNames ?? []), ...userNames])],
  certain: certain || before?.certain === true,
});
