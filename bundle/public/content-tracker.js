/**
 * Detects that somebody else has changed the content of a page since the page requested it, or that this can no longer be
 * known.
 *
 * Owns the content tags of the page. While content is tagged, it subscribes to `oro/data/update` with recovery, limited to the
 * events of its tags. For each content it requests once the changes since the content was loaded; later changes arrive as
 * events. Displays nothing: the callback does (for example with `flash.js`).
 */
import { callSafely, report } from './callbacks.js';
import { elapsed, momentNow } from './moment.js';

const TOPIC = 'oro/data/update';

/**
 * Content that was requested within this time shares one call. It may be reported as outdated for a change up to this much
 * older.
 */
const BATCH_MS = 50;

/** @typedef {{ tag: string, userName: string | null }} Change  `userName`: the publisher; null: nobody was logged in */
/**
 * Outdated tags and the users who changed them, without duplicates. `isCertain: false`: events may be missing, so the content
 * may be outdated; both lists are empty.
 *
 * @typedef {{ tags: string[], userNames: (string | null)[], isCertain: boolean }} Outdated
 */
/** @typedef {import('./moment.js').Moment} Moment */
/**
 * When content was requested; null: unknown. A function is called once the session is open.
 *
 * @typedef {Moment | null | (() => Moment | null)} Since
 */
/**
 * @typedef {object} Content
 * @property {Set<string>} unreported tags not yet reported as outdated
 * @property {(outdated: Outdated) => void} onOutdated
 * @property {Since} since
 * @property {'unrequested' | 'requested' | 'known'} past state of the changes before the subscription; `known`: the server has
 *   answered
 * @property {boolean} isUncertain `isCertain: false` was reported
 */

export class ContentTracker {
  #client;
  #userName;
  /** @type {Set<Content>} */
  #contents = new Set();
  /** @type {import('./subscriptions.js').ListenerHandle | null} */
  #handle = null;

  /**
   * @param {import('./client.js').OrosyncClient} client
   * @param {{ userName: string | null }} page the user of this page; null: nobody is logged in
   */
  constructor(client, { userName }) {
    this.#client = client;
    this.#userName = userName;
  }

  /**
   * Registers content that this page shows. Each tag is reported as outdated once, and `isCertain: false` is reported once. Tag
   * the content again after reloading it.
   *
   * @param {Iterable<string>} tags
   * @param {(outdated: Outdated) => void} onOutdated
   * @param {{ since?: number | null | (() => Moment | null) }} [options] `since`: the value of `performance.now()` when the
   *   content was requested; null: unknown, so the content is reported as not certain. Default: now, which misses changes
   *   during loading
   * @returns {() => void} forgets the content; call it when the content is removed or about to be reloaded
   */
  tagContent(tags, onOutdated, { since } = {}) {
    if (typeof tags === 'string') {
      throw new TypeError(`tagContent takes a list of tags, not the string "${tags}"`);
    }
    if (typeof onOutdated !== 'function') {
      throw new TypeError(`tagContent needs a function to call, not ${typeof onOutdated}`);
    }
    if (!(since === undefined || since === null || typeof since === 'function' || Number.isFinite(since))) {
      throw new TypeError(`tagContent: since = ${String(since)} is not a value of performance.now()`);
    }
    /** @type {Content} */
    const content = {
      unreported: new Set(tags),
      onOutdated,
      since: typeof since === 'number' ? this.#client.momentOf(since) : since === undefined ? momentNow() : since,
      past: 'unrequested',
      isUncertain: false,
    };
    this.#contents.add(content);
    if (since === null) {
      this.#unknown(content);
    }
    this.#changed();
    return () => {
      this.#contents.delete(content);
      this.#changed();
    };
  }

  /** Forgets all content and unsubscribes. */
  close() {
    this.#contents.clear();
    this.#changed();
  }

  #changed() {
    if (this.#contents.size === 0) {
      this.#handle?.remove();
      this.#handle = null;
    } else if (this.#handle === null) {
      this.#handle = this.#client.addListener(TOPIC, {
        recovers: true,
        mayWait: true,
        onEvent: (payload) => this.#updated(payload, [...this.#contents]),
        onMissed: (payload) => this.#updated(payload, this.#known()),
        onIncomplete: () => this.#known().forEach((content) => this.#uncertain(content)),
        tags: () => this.#tags(),
        nextHistoryRequest: (opened) => this.#nextHistoryRequest(opened),
      });
    } else {
      this.#handle.update();
    }
  }

  #tags() {
    return [...new Set([...this.#contents].flatMap(({ unreported }) => [...unreported]))];
  }

  #known() {
    return [...this.#contents].filter(({ past }) => past === 'known');
  }

  /**
   * The next request: for all content that was requested at about the same time, oldest first. Content does not receive
   * events from before its own request.
   *
   * @param {Moment} opened
   * @returns {import('./topic.js').HistoryRequest | null}
   */
  #nextHistoryRequest(opened) {
    const ages = this.#unrequestedAges(opened);
    if (ages.size === 0) {
      return null;
    }
    const milliseconds = Math.max(...ages.values());
    const requested = [...ages.keys()].filter((content) => milliseconds - (ages.get(content) ?? 0) < BATCH_MS);
    requested.forEach((content) => {
      content.past = 'requested';
    });
    return {
      milliseconds,
      answered: (payloads, extent) => {
        requested.forEach((content) => {
          content.past = 'known';
        });
        payloads.forEach((payload) => this.#updated(payload, requested));
        // Without history ("withoutHistory") every page would be reported.
        if (extent === 'incomplete') {
          requested.forEach((content) => this.#uncertain(content));
        }
      },
      lost: () =>
        requested.forEach((content) => {
          content.past = 'unrequested';
        }),
    };
  }

  /**
   * Age of each content whose earlier changes were not requested yet: milliseconds from its request to the opening of the
   * session.
   *
   * @param {Moment} opened
   */
  #unrequestedAges(opened) {
    /** @type {Map<Content, number>} */
    const ages = new Map();
    for (const content of this.#contents) {
      if (content.past === 'unrequested' && content.unreported.size > 0) {
        const since = typeof content.since === 'function' ? content.since() : content.since;
        if (since === null) {
          this.#unknown(content);
        } else {
          ages.set(content, Math.ceil(elapsed(since, opened)));
        }
      }
    }
    return ages;
  }

  /** Reports content as not certain: its earlier changes cannot be requested. @param {Content} content */
  #unknown(content) {
    content.past = 'known';
    queueMicrotask(() => this.#uncertain(content));
  }

  /** @param {Content} content */
  #uncertain(content) {
    if (this.#contents.has(content) && content.unreported.size > 0 && !content.isUncertain) {
      content.isUncertain = true;
      callSafely(content.onOutdated, { tags: [], userNames: [], isCertain: false });
    }
  }

  /**
   * @param {unknown} payload
   * @param {Content[]} contents those that may not contain the change yet
   */
  #updated(payload, contents) {
    const changes = changesIn(payload).filter(({ userName }) => userName === null || userName !== this.#userName);
    for (const content of contents) {
      const hits = changes.filter(({ tag }) => content.unreported.has(tag));
      if (hits.length > 0 && this.#contents.has(content)) {
        hits.forEach(({ tag }) => content.unreported.delete(tag));
        callSafely(content.onOutdated, {
          tags: [...new Set(hits.map(({ tag }) => tag))],
          userNames: [...new Set(hits.map(({ userName }) => userName))],
          isCertain: true,
        });
        this.#changed();
      }
    }
  }
}

/**
 * Reads the payload of `oro/data/update`. Accepted forms:
 *
 * - a list of `{username, tagname}`
 * - an object with such values, which PHP makes of a list with gaps
 * - either of them as a JSON string, as OroPlatform sends up to 2.6
 *
 * Anything else is ignored, entry by entry.
 *
 * @param {unknown} payload
 * @returns {Change[]}
 */
function changesIn(payload) {
  const entries = typeof payload === 'string' ? parse(payload) : payload;
  if (typeof entries !== 'object' || entries === null) {
    return [];
  }
  return Object.values(entries)
    .filter((entry) => typeof entry?.tagname === 'string')
    .map(({ tagname, username }) => ({ tag: tagname, userName: typeof username === 'string' && username !== '' ? username : null }));
}

/** @type {(text: string) => unknown} */
function parse(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    report(error);
    return null;
  }
}
