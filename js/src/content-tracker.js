/**
 * Tells a page when what it shows was changed by somebody else since it was asked for, or that nobody can know.
 *
 * Owns the content tags of this page. Recovers `oro/data/update` as long as something is tagged, and asks the server for the
 * events of its tags only. Content is asked about once, from the moment on when it was requested; from there on it gets what
 * the topic gets. Does not show anything: that is the callback's business (`flash.js` has one).
 */
import { callSafely, report } from './callbacks.js';
import { elapsed, momentNow } from './moment.js';

const TOPIC = 'oro/data/update';

/** Content that was requested within this time is asked about by one call: it may be told of a change that is so much older. */
const TOGETHER_MS = 50;

/** @typedef {{ tag: string, userName: string | null }} Change  `userName`: who published it; null: nobody was logged in */
/**
 * Which tags, changed by whom; each once. Not `certain`: events may have been missed, so it may be outdated; there are no tags
 * and no user names then.
 *
 * @typedef {{ tags: string[], userNames: (string | null)[], certain: boolean }} Outdated
 */
/** @typedef {import('./moment.js').Moment} Moment */
/**
 * When content was requested; null: nobody knows. A function is asked when the session is open.
 *
 * @typedef {Moment | null | (() => Moment | null)} Since
 */
/**
 * @typedef {object} Content
 * @property {Set<string>} fresh tags that were not yet reported as outdated
 * @property {(outdated: Outdated) => void} onOutdated
 * @property {Since} since
 * @property {'open' | 'asked' | 'known'} past what happened up to now: was not asked, was asked but not answered, is known
 * @property {boolean} isUncertain that was reported
 */

export class ContentTracker {
  #client;
  #userName;
  /** @type {Set<Content>} */
  #contents = new Set();
  /** @type {import('./subscriptions.js').Listening | null} */
  #listening = null;

  /**
   * @param {import('./client.js').OrosyncClient} client
   * @param {{ userName: string | null }} page who looks at this page; null: nobody is logged in
   */
  constructor(client, { userName }) {
    this.#client = client;
    this.#userName = userName;
  }

  /**
   * Says that this page shows content with these tags. Each tag is reported once, and so is that nobody can know; after the
   * content was loaded anew, tag it anew.
   *
   * @param {Iterable<string>} tags
   * @param {(outdated: Outdated) => void} onOutdated
   * @param {{ since?: number | null | (() => Moment | null) }} [options] `since`: what `performance.now()` was when the content
   *   was requested; null: nobody knows, so it is reported as not certain. Without it: now, so that what was changed while it
   *   was loading is missed
   * @returns {() => void} the content is gone, or about to be loaded anew: forget it
   */
  tagContent(tags, onOutdated, { since } = {}) {
    if (typeof tags === 'string') {
      throw new TypeError(`tagContent takes a list of tags, not the string "${tags}"`);
    }
    if (typeof onOutdated !== 'function') {
      throw new TypeError(`tagContent needs a function to call, not ${typeof onOutdated}`);
    }
    if (!(since === undefined || since === null || typeof since === 'function' || Number.isFinite(since))) {
      throw new TypeError(`tagContent: since = ${String(since)} is no value of performance.now, a number`);
    }
    /** @type {Content} */
    const content = {
      fresh: new Set(tags),
      onOutdated,
      since: typeof since === 'number' ? this.#client.momentOf(since) : since === undefined ? momentNow() : since,
      past: 'open',
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

  /** Forgets all content. */
  close() {
    this.#contents.clear();
    this.#changed();
  }

  #changed() {
    if (this.#contents.size === 0) {
      this.#listening?.remove();
      this.#listening = null;
    } else if (this.#listening === null) {
      this.#listening = this.#client.listen(TOPIC, {
        recovers: true,
        mayWait: true,
        onEvent: (payload) => this.#updated(payload, [...this.#contents]),
        onMissed: (payload) => this.#updated(payload, this.#known()),
        onIncomplete: () => this.#known().forEach((content) => this.#uncertain(content)),
        tags: () => this.#tags(),
        nextQuestion: (opened) => this.#nextQuestion(opened),
      });
    } else {
      this.#listening.update();
    }
  }

  #tags() {
    return [...new Set([...this.#contents].flatMap(({ fresh }) => [...fresh]))];
  }

  #known() {
    return [...this.#contents].filter(({ past }) => past === 'known');
  }

  /**
   * Asks for all content that was requested together, the oldest first: an event is no news to what was requested after it.
   *
   * @param {Moment} opened
   * @returns {import('./topic.js').Question | null}
   */
  #nextQuestion(opened) {
    const ages = this.#openAges(opened);
    if (ages.size === 0) {
      return null;
    }
    const milliseconds = Math.max(...ages.values());
    const asked = [...ages.keys()].filter((content) => milliseconds - (ages.get(content) ?? 0) < TOGETHER_MS);
    asked.forEach((content) => {
      content.past = 'asked';
    });
    return {
      milliseconds,
      answered: (payloads, extent) => {
        asked.forEach((content) => {
          content.past = 'known';
        });
        payloads.forEach((payload) => this.#updated(payload, asked));
        // Where no history is kept, that would be said of every page.
        if (extent === 'incomplete') {
          asked.forEach((content) => this.#uncertain(content));
        }
      },
      lost: () =>
        asked.forEach((content) => {
          content.past = 'open';
        }),
    };
  }

  /** How long before the session was opened content was requested whose past is open, in milliseconds. @param {Moment} opened */
  #openAges(opened) {
    /** @type {Map<Content, number>} */
    const ages = new Map();
    for (const content of this.#contents) {
      if (content.past === 'open' && content.fresh.size > 0) {
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

  /** Nobody can be asked about its past. @param {Content} content */
  #unknown(content) {
    content.past = 'known';
    queueMicrotask(() => this.#uncertain(content));
  }

  /** @param {Content} content */
  #uncertain(content) {
    if (this.#contents.has(content) && content.fresh.size > 0 && !content.isUncertain) {
      content.isUncertain = true;
      callSafely(content.onOutdated, { tags: [], userNames: [], certain: false });
    }
  }

  /**
   * @param {unknown} payload
   * @param {Content[]} contents those to which it may be news
   */
  #updated(payload, contents) {
    const changes = changesIn(payload).filter(({ userName }) => userName === null || userName !== this.#userName);
    for (const content of contents) {
      const hits = changes.filter(({ tag }) => content.fresh.has(tag));
      if (hits.length > 0 && this.#contents.has(content)) {
        hits.forEach(({ tag }) => content.fresh.delete(tag));
        callSafely(content.onOutdated, {
          tags: [...new Set(hits.map(({ tag }) => tag))],
          userNames: [...new Set(hits.map(({ userName }) => userName))],
          certain: true,
        });
        this.#changed();
      }
    }
  }
}

/**
 * Reads the payload of `oro/data/update`: a list of `{username, tagname}`; an object with the same as values, which is what
 * PHP makes of a list with gaps; or, as up to OroPlatform 2.6, either of them encoded as JSON once more. What is none of
 * these is passed over: one wrong entry does not hide the others.
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
