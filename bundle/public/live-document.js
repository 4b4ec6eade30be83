/**
 * One connection per document, and the content of its `<orosync-page>` elements. It lasts while pages come and go within the
 * document (Turbo).
 *
 *   new element              sets the identity of the document; its tags are content that was just loaded
 *   element of a snapshot    restored by Turbo: content that was loaded earlier, outdated if it was changed since. Does not
 *                            set the identity
 *   element of a preview     ignored: the page itself is about to arrive
 *
 * Content is as old as its page: a change counts if PHP began to render the page before it. Both the page and each answer of
 * the ticket endpoint carry PHP's time, so the browser's clock is never compared with it. Page and answer may come from hosts
 * whose clocks differ; therefore a page is never taken as younger than its request, as far as the browser knows that. Without a
 * stamp the age is estimated (`document-age.js`).
 *
 * Owns one client for the lifetime of the document, so subscriptions of the application survive a change of user: the client
 * reconnects when the identity changes, and is closed while there is no element. Owns the messages of these pages. Bound:
 * `MAX_CONTENTS`; the content that left the document first is forgotten first.
 */
import { OrosyncClient } from './client.js';
import { ContentTracker } from './content-tracker.js';
import { DocumentAge } from './document-age.js';
import { showFlash } from './flash.js';
import { Maintenance } from './maintenance.js';
import { earlierBy, earlierOf, momentNow } from './moment.js';
import { TicketRefusedError, ticketsFrom } from './ticket.js';

/** Error of a connection attempt before the first element. */
const NO_PAGE = 'there was no <orosync-page> in this document yet';

/** More than the snapshots that Turbo keeps (10). */
const MAX_CONTENTS = 20;

/**
 * How long the client stays connected without an element: page transitions remove the old page some time before they insert the
 * new one.
 */
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
 * What the document reads from an element and reports to it.
 *
 * @typedef {object} PageElement
 * @property {PageSettings} settings
 * @property {string[]} tags
 * @property {number | null} renderedAt milliseconds since 1970, by PHP's clock; null: unknown
 * @property {boolean} warnings whether to warn in the console
 * @property {{ outdated: Texts, maintenance: Texts }} texts
 * @property {string | null} contentId identifies the content of the element; null: not registered yet. Copies of the element
 *   share it
 * @property {(state: import('./socket.js').StateName) => void} dispatchState
 * @property {(outdated: Outdated) => boolean} dispatchOutdated false: the application shows its own message
 */

/**
 * @typedef {object} Content
 * @property {PageElement | null} element null: not in the document; Turbo may restore it
 * @property {Outdated | null} outdated everything reported so far
 * @property {() => void} forget
 * @property {() => void} dismiss removes its message
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
  /** `now`: PHP's time at the moment `requested` or slightly later; null: unknown. @type {{ now: number, requested: Moment } | null} */
  #clock = null;
  #age = new DocumentAge();
  #warnings = true;
  /** @type {PageElement['texts'] | null} */
  #texts = null;
  #isUpdateScheduled = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #disconnectTimer;
  /** Maintenance is on and its message was not dismissed. */
  #showsMaintenance = false;
  #dismissMaintenance = () => {};

  /** The client of the document. An application may subscribe before there is an element. */
  client = new OrosyncClient({
    url: () => this.#url(),
    ticket: async (signal, topics) => this.#ticket(signal, topics),
    warnings: () => this.#warnings,
  });

  constructor() {
    this.client.on('state', (state) => this.#elements.forEach((element) => element.dispatchState(state)));
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

  /** Schedules an update in a microtask, after all changes of the current task. */
  changed() {
    if (!this.#isUpdateScheduled) {
      this.#isUpdateScheduled = true;
      queueMicrotask(() => this.#update());
    }
  }

  #update() {
    this.#isUpdateScheduled = false;
    clearTimeout(this.#disconnectTimer);
    const elements = isPreview() ? [] : [...this.#elements];
    const newest = elements.filter(isNew).at(-1) ?? elements.at(-1);
    if (newest !== undefined) {
      this.#connectFor(newest);
    } else if (this.#elements.size === 0) {
      this.#disconnectTimer = setTimeout(() => this.#disconnect(), GRACE_MS);
    }
    // Adds new content before it removes old: the subscription survives the page change.
    elements.forEach((element) => this.#show(element));
    this.#contents.forEach((content, id) => {
      if (content.element !== null && !(elements.includes(content.element) && content.element.contentId === id)) {
        leave(content);
      }
    });
    this.#forgetOldest();
    if (newest !== undefined && this.#showsMaintenance) {
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
    // A new page may connect again after a refusal: the user may have signed in.
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
    const requested = momentNow();
    const answer = await ticketsFrom(this.#ticketUrl, {})(signal, topics);
    if (typeof answer === 'object' && answer?.now !== undefined) {
      this.#clock = { now: answer.now, requested };
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
      this.#report(known, known.outdated);
    } else {
      // For a snapshot whose content was forgotten, only the stamp gives the age.
      const guessed = isNew(element) ? this.#age.guess() : null;
      this.#contentCount += 1;
      element.contentId = String(this.#contentCount);
      this.#contents.set(element.contentId, this.#contentOf(element, guessed));
    }
    element.dispatchState(this.client.state);
  }

  /**
   * @param {PageElement} element
   * @param {Moment | null} guessed estimated request time, for elements without a stamp; null: unknown
   * @returns {Content}
   */
  #contentOf(element, guessed) {
    /** @type {Content} */
    const content = { element, outdated: null, forget: () => {}, dismiss: () => {} };
    if (element.tags.length > 0 && this.#connection !== null) {
      content.forget = this.#connection.tracker.tagContent(
        element.tags,
        (outdated) => {
          if (outdated.isCertain && content.outdated?.isCertain === false) {
            // The certain message replaces the uncertain one, even if the application shows it.
            content.dismiss();
          }
          content.outdated = merged(content.outdated, outdated);
          this.#report(content, outdated);
        },
        { since: this.#sinceOf(element.renderedAt, guessed) },
      );
    }
    return content;
  }

  /**
   * When content that appears now was requested. A function, because PHP's time is known only after the ticket request.
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
      this.#clock === null ? guessed : earlierOf(latest, earlierBy(this.#clock.requested, this.#clock.now - renderedAt));
  }

  /** @param {Content} content @param {Outdated | null} outdated */
  #report(content, outdated) {
    const { element } = content;
    if (element !== null && outdated !== null && element.dispatchOutdated(outdated)) {
      content.dismiss = showFlash({ kind: 'outdated', isCertain: outdated.isCertain, texts: element.texts.outdated });
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
    this.#showsMaintenance = isOn;
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
        this.#showsMaintenance = false;
      },
    });
  }
}

/** Whether neither the element nor its original was in this document before. @param {PageElement} element */
const isNew = ({ contentId }) => contentId === null;

/** Whether Turbo shows a snapshot until the page arrives. */
const isPreview = () => document.documentElement.hasAttribute('data-turbo-preview');

/** @param {Content} content */
function leave(content) {
  content.element = null;
  content.dismiss();
  content.dismiss = () => {};
}

/**
 * Merges two reports. Certain if one of them is.
 *
 * @param {Outdated | null} before
 * @param {Outdated} outdated
 * @returns {Outdated}
 */
const merged = (before, { tags, userNames, isCertain }) => ({
  tags: [...new Set([...(before?.tags ?? []), ...tags])],
  userNames: [...new Set([...(before?.userNames ?? []), ...userNames])],
  isCertain: isCertain || before?.isCertain === true,
});
