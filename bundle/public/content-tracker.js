/**
 * Tells a page when what it shows was changed by somebody else.
 *
 * Owns the content tags of this page. Listens to `oro/data/update` as long as something is tagged. Does not show anything:
 * that is the callback's business (`flash.js` has one).
 */
import { callSafely, report } from './callbacks.js';

const TOPIC = 'oro/data/update';

/** @typedef {{ tag: string, userName: string | null }} Change  `userName`: who published it; null: nobody was logged in */
/** @typedef {{ tags: string[], userNames: (string | null)[] }} Outdated  which tags, changed by whom; each once */
/** @typedef {{ fresh: Set<string>, onOutdated: (outdated: Outdated) => void }} Content  `fresh`: not yet reported as outdated */

export class ContentTracker {
  #client;
  #userName;
  /** @type {Set<Content>} */
  #contents = new Set();
  /** @type {(() => void) | null} */
  #unsubscribe = null;

  /**
   * @param {import('./client.js').OrosyncClient} client
   * @param {{ userName: string | null }} page who looks at this page; null: nobody is logged in
   */
  constructor(client, { userName }) {
    this.#client = client;
    this.#userName = userName;
  }

  /**
   * Says that this page shows content with these tags. Each tag is reported once; after the content was loaded anew, tag it
   * anew.
   *
   * @param {Iterable<string>} tags
   * @param {(outdated: Outdated) => void} onOutdated
   * @returns {() => void} the content is gone, or about to be loaded anew: forget it
   */
  tagContent(tags, onOutdated) {
    if (typeof tags === 'string') {
      throw new TypeError(`tagContent takes a list of tags, not the string "${tags}"`);
    }
    if (typeof onOutdated !== 'function') {
      throw new TypeError(`tagContent needs a function to call, not ${typeof onOutdated}`);
    }
    /** @type {Content} */
    const content = { fresh: new Set(tags), onOutdated };
    this.#contents.add(content);
    this.#unsubscribe ??= this.#client.subscribe(TOPIC, (payload) => this.#updated(payload));
    return () => {
      this.#contents.delete(content);
      if (this.#contents.size === 0) {
        this.#stop();
      }
    };
  }

  /** Forgets all content. */
  close() {
    this.#contents.clear();
    this.#stop();
  }

  #stop() {
    this.#unsubscribe?.();
    this.#unsubscribe = null;
  }

  /** @param {unknown} payload */
  #updated(payload) {
    const changes = changesIn(payload).filter(({ userName }) => userName === null || userName !== this.#userName);
    for (const content of [...this.#contents]) {
      const hits = changes.filter(({ tag }) => content.fresh.has(tag));
      if (hits.length > 0 && this.#contents.has(content)) {
        hits.forEach(({ tag }) => content.fresh.delete(tag));
        callSafely(content.onOutdated, {
          tags: [...new Set(hits.map(({ tag }) => tag))],
          userNames: [...new Set(hits.map(({ userName }) => userName))],
        });
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
