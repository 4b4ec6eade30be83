/**
 * One topic: who listens, from which position on, and what the present session has been told about it.
 *
 * A topic that nobody wants to recover is subscribed by SUBSCRIBE. One that somebody does is subscribed by a call, which answers
 * with what came since the topic's position, and each EVENT of it has the next position:
 *
 *               SUBSCRIBE
 *   nothing ──────────────▶ plain
 *      │                      │ call
 *      │ call                 ▼           answer
 *      └───────────────────▶ asked ─────────────────▶ live      more calls: other tags, or what was asked about the past
 *                              │ │ refused
 *                              │ └─────────▶ refused
 *                              └──▶ back, from there on by SUBSCRIBE: the server does not know the call
 *
 *   All go back to "nothing" with the session, and with UNSUBSCRIBE. A call that the server cannot answer at the moment leads back
 *   to where it came from: the topic is put off until `askAgain()`, and then asks the same.
 *
 * The position outlives sessions. It changes only with what the listeners have been given, so after a call without an answer
 * the next session asks from the same position again. Bounds: one call at a time, without a time limit, because events would be
 * missing if its answer were no longer waited for; `MAX_TAGS` tags of `MAX_TAGS_LENGTH` in all, beyond which all events come.
 * Knows nothing of the budget of messages.
 */
import { encodeCall, encodeSubscribe, encodeUnsubscribe, isUnavailable, isUnknownProcedure } from './wamp.js';

/** The most that a server accepts in one call. */
const MAX_TAGS = 200;

/** Of their JSON. A character is up to three bytes, and a server takes 64 KiB in a message by default. */
const MAX_TAGS_LENGTH = 16 * 1024;

/** The position that a server gives which keeps no history of the topic. */
const NO_POSITION = '0.0';

/**
 * @typedef {object} Listener
 * @property {boolean} recovers it wants to be told what it misses
 * @property {boolean} mayWait its changes are told to the server together, in a microtask
 * @property {(payload: unknown) => void} onEvent
 * @property {(payload: unknown) => void} onMissed an event of the time without a connection
 * @property {() => void} onIncomplete there may have been others
 * @property {() => string[] | null} tags of which it wants the events, and of no others; null: all events
 * @property {(opened: import('./moment.js').Moment) => Question | null} nextQuestion what it wants to know about the time before
 *   it listened, if there is something; not again until that was settled
 */

/**
 * About events of the past. Settled once, by `answered` or by `lost`: then it may be asked again.
 *
 * @typedef {object} Question
 * @property {number} milliseconds before the session was opened, from when on; negative: after that
 * @property {(payloads: unknown[], extent: Extent) => void} answered
 * @property {() => void} lost
 */

/**
 * How much of what was asked for an answer has: all, not all or perhaps not, or nothing because no history is kept.
 *
 * @typedef {'complete' | 'incomplete' | 'unkept'} Extent
 */

/**
 * @typedef {object} Call
 * @property {boolean} subscribes rather than sets other tags
 * @property {Told} before
 * @property {string} filterBefore
 * @property {string | null} since
 * @property {Question | null} question
 * @property {boolean} isAfterGap somebody who recovers was told everything up to the end of an earlier session
 * @property {boolean} isAfterRenewal that was a moment ago (`#isAfterRenewal`)
 */

/** @typedef {'nothing' | 'plain' | 'asked' | 'live' | 'refused'} Told */

/**
 * What the session is like.
 *
 * @typedef {object} Session
 * @property {import('./moment.js').Moment} opened
 * @property {boolean} isOld its server does not know the calls
 * @property {boolean} isContinuation it has followed at once on one that was ended for another ticket
 */

/**
 * A message to be sent. `after`: calls listeners, once all is sent that can be.
 *
 * @typedef {object} Message
 * @property {string | null} text null: there is nothing to send
 * @property {string | null} callId of the call that it is
 * @property {() => void} sent
 * @property {() => void} unsent
 * @property {() => void} after
 */

const nothing = () => {};

export class Topic {
  #onIncomplete;
  /** Each with whether it was given everything from some moment on up to the topic's position. @type {Map<Listener, boolean>} */
  #listeners = new Map();
  /** @type {string | null} */
  #position = null;
  /** @type {Told} */
  #told = 'nothing';
  /** The tags that the session was told, as JSON. */
  #filter = 'null';
  /** Whether the session has taken no call about this topic. */
  #isPlain = false;
  /** Whether the session has taken no tags. */
  #isUnfiltered = false;
  /** Whether the last session gave all events up to its end. */
  #wasFollowed = false;
  /** @type {Call | null} */
  #call = null;
  /** Whether no other call for a subscription is made now. */
  #isPutOff = false;
  #putOffs = 0;

  /**
   * @param {string} name
   * @param {() => void} onIncomplete called after the listeners' own
   */
  constructor(name, onIncomplete) {
    this.name = name;
    this.#onIncomplete = onIncomplete;
  }

  get isEmpty() {
    return this.#listeners.size === 0;
  }

  /** Neither does anybody listen, nor is there something to end. */
  get isOver() {
    return this.isEmpty && this.#told === 'nothing';
  }

  /** How often in a row the server could not answer. */
  get putOffs() {
    return this.#putOffs;
  }

  /** @param {Listener} listener */
  add(listener) {
    this.#listeners.set(listener, this.#told === 'plain' || this.#told === 'live');
  }

  /** @param {Listener} listener */
  remove(listener) {
    this.#listeners.delete(listener);
  }

  /** There is no session any more. The next one knows of nothing. */
  reset() {
    const question = this.#call?.question;
    this.#wasFollowed = this.#told === 'plain' || this.#told === 'live';
    this.#call = null;
    this.#told = 'nothing';
    this.#filter = 'null';
    this.#isPlain = false;
    this.#isUnfiltered = false;
    this.#isPutOff = false;
    this.#putOffs = 0;
    question?.lost();
  }

  /** The server may be able to answer now. */
  askAgain() {
    this.#isPutOff = false;
  }

  /**
   * @param {unknown} payload
   * @param {string | undefined} position
   */
  event(payload, position) {
    if (this.#told === 'live' && position !== undefined) {
      this.#position = position;
    }
    this.#present().forEach((listener) => this.#with(listener, () => listener.onEvent(payload)));
  }

  /** All events up to there were given to the listeners, or are not for them. @param {string} position */
  advance(position) {
    if (this.#told === 'live' && this.#call === null) {
      this.#position = position;
    }
  }

  /**
   * What to tell the session next; null: nothing, or not before the last call was answered, or not yet again.
   *
   * @param {Session} session
   * @param {string} callId for a call, if it takes one
   * @returns {Message | null}
   */
  next(session, callId) {
    if (this.#call !== null) {
      return null;
    }
    if (this.isEmpty) {
      return this.#told === 'nothing' ? null : this.#unsubscribe();
    }
    const isPlain = session.isOld || this.#isPlain || !this.#recovers;
    if (this.#told === 'nothing' && isPlain) {
      return this.#subscribe(session);
    }
    if (this.#told === 'refused') {
      return null;
    }
    if (this.#told === 'plain' && isPlain) {
      return { callId: null, text: null, sent: nothing, unsent: nothing, after: () => this.#answerNothing(session) };
    }
    return this.#nextCall(session, callId);
  }

  /** Takes the answer to the present call. @param {unknown} result */
  answered(result) {
    const call = this.#endCall();
    if (!call.subscribes) {
      return;
    }
    this.#putOffs = 0;
    const { position, isComplete, payloads } = answerIn(result);
    const followers = this.#present().filter((listener) => this.#listeners.get(listener));
    this.#told = 'live';
    this.#position = position;
    this.#followed();
    const isUnkept = position === NO_POSITION;
    if (call.since !== null) {
      payloads.forEach((payload) => {
        followers.forEach((listener) => this.#with(listener, () => listener.onMissed(payload)));
      });
    }
    // Before the question is answered: what it is about is not what the followers have missed.
    if (call.isAfterGap && (call.since === null || !isComplete) && !(call.isAfterRenewal && isUnkept)) {
      this.#tellIncomplete(followers);
    }
    call.question?.answered(payloads, isUnkept ? 'unkept' : isComplete ? 'complete' : 'incomplete');
  }

  /**
   * Takes an error in place of the answer.
   *
   * @param {{ uri: string, details: unknown }} error of WAMP
   * @returns {'refused' | 'unknown' | 'later' | 'failed'} the user may not subscribe; the server does not know the call; it cannot
   *   answer at the moment; anything else
   */
  failed(error) {
    const { subscribes, before, filterBefore, question } = this.#endCall();
    if (!subscribes) {
      this.#isUnfiltered = true;
      return 'failed';
    }
    if (isUnavailable(error)) {
      this.#told = before;
      this.#filter = filterBefore;
      this.#isPutOff = true;
      this.#putOffs += 1;
      question?.lost();
      return 'later';
    }
    if (error.uri === this.name) {
      this.#told = 'refused';
      question?.lost();
      return 'refused';
    }
    const isUnknown = before !== 'live' && isUnknownProcedure(error);
    this.#told = before;
    this.#isPlain = before !== 'live';
    this.#isUnfiltered = true;
    if (isUnknown) {
      question?.lost();
    } else {
      question?.answered([], 'incomplete');
    }
    return isUnknown ? 'unknown' : 'failed';
  }

  get #recovers() {
    return this.#present().some(({ recovers }) => recovers);
  }

  /** Whether somebody misses something that was told everything before. */
  get #isAfterGap() {
    return this.#told === 'nothing' && this.#present().some((listener) => listener.recovers && this.#listeners.get(listener));
  }

  /**
   * Whether the session follows on one that gave all events up to its end, a moment ago, when the page asked for another ticket.
   * Where no history is kept, such a gap is not told: it would make every page uncertain right after it was loaded, if only one of
   * its topics needs a ticket of its own. That is not quite honest, as what was published in that fraction of a second is lost;
   * but there a page does not hear of what came between its own request and its first session either, which takes longer. Where the
   * server could not answer at first, it was more than a moment.
   *
   * @param {Session} session
   */
  #isAfterRenewal({ isContinuation }) {
    return isContinuation && this.#wasFollowed && this.#putOffs === 0;
  }

  /** From now on all listeners are given everything. */
  #followed() {
    this.#present().forEach((listener) => this.#listeners.set(listener, true));
  }

  /** @returns {Message} */
  #unsubscribe() {
    const sent = () => {
      this.#told = 'nothing';
    };
    return { callId: null, text: encodeUnsubscribe(this.name), sent, unsent: nothing, after: nothing };
  }

  /** @param {Session} session @returns {Message} */
  #subscribe(session) {
    const isTold = this.#isAfterGap && !(session.isOld && this.#isAfterRenewal(session));
    const followers = isTold ? this.#present().filter((listener) => this.#listeners.get(listener)) : [];
    return {
      callId: null,
      text: encodeSubscribe(this.name),
      sent: () => {
        this.#told = 'plain';
        this.#position = null;
        this.#followed();
      },
      unsent: nothing,
      after: () => {
        this.#tellIncomplete(followers);
        this.#answerNothing(session);
      },
    };
  }

  /**
   * @param {Session} session
   * @param {string} callId
   * @returns {Message | null}
   */
  #nextCall(session, callId) {
    const before = this.#told;
    const isAfterGap = this.#isAfterGap;
    const isAfterRenewal = this.#isAfterRenewal(session);
    const since = isAfterGap ? this.#position : null;
    const question = since === null && !this.#isPutOff ? this.#nextQuestion(session.opened) : null;
    const tags = this.#isUnfiltered ? null : this.#tags();
    const filter = JSON.stringify(tags);
    if (before === 'live' && question === null && filter === this.#filter) {
      return null;
    }
    const subscribes = before !== 'live' || question !== null || tags === null;
    if (subscribes && this.#isPutOff) {
      return null;
    }
    const filterBefore = this.#filter;
    return {
      callId,
      text: subscribes
        ? encodeCall(callId, 'orosync/subscribe', [this.name, ...options(since, question, tags)])
        : encodeCall(callId, 'orosync/tags', [this.name, tags]),
      sent: () => {
        this.#call = { subscribes, before, filterBefore, since, question, isAfterGap, isAfterRenewal };
        this.#told = before === 'live' ? 'live' : 'asked';
        this.#filter = filter;
      },
      unsent: () => question?.lost(),
      after: nothing,
    };
  }

  /** @param {import('./moment.js').Moment} opened */
  #nextQuestion(opened) {
    for (const listener of this.#present()) {
      const question = listener.nextQuestion(opened);
      if (question !== null) {
        return question;
      }
    }
    return null;
  }

  /** Nobody can be asked, unless the session has ended meanwhile. @param {Session} session */
  #answerNothing({ opened }) {
    while (this.#told === 'plain') {
      const question = this.#nextQuestion(opened);
      if (question === null) {
        return;
      }
      question.answered([], 'unkept');
    }
  }

  /** Those of all listeners; null: somebody wants all events, or there are too many. */
  #tags() {
    /** @type {Set<string>} */
    const all = new Set();
    for (const listener of this.#present()) {
      const tags = listener.tags();
      tags?.forEach((tag) => all.add(tag));
      if (tags === null || all.size > MAX_TAGS) {
        return null;
      }
    }
    const sorted = [...all].sort();
    return JSON.stringify(sorted).length > MAX_TAGS_LENGTH ? null : sorted;
  }

  #endCall() {
    const call = this.#call;
    if (call === null) {
      throw new Error(`there is no call about "${this.name}"`);
    }
    this.#call = null;
    return call;
  }

  #present() {
    return [...this.#listeners.keys()];
  }

  /** Unless it was taken out meanwhile. @param {Listener} listener @param {() => void} call */
  #with(listener, call) {
    if (this.#listeners.has(listener)) {
      call();
    }
  }

  /** @param {Listener[]} followers */
  #tellIncomplete(followers) {
    const told = followers.filter((listener) => listener.recovers && this.#listeners.has(listener));
    told.forEach((listener) => this.#with(listener, () => listener.onIncomplete()));
    if (told.length > 0) {
      this.#onIncomplete();
    }
  }
}

/**
 * The last argument of `orosync/subscribe`, which may be left out.
 *
 * @param {string | null} position
 * @param {Question | null} question
 * @param {string[] | null} tags
 */
function options(position, question, tags) {
  const since = position ?? (question === null ? null : { milliseconds: question.milliseconds });
  const given = { ...(since === null ? {} : { since }), ...(tags === null ? {} : { tags }) };
  return Object.keys(given).length === 0 ? [] : [given];
}

/**
 * Reads `{position, complete, events: [[position, payload], …]}`. An answer of any other form counts as incomplete.
 *
 * @param {unknown} result
 * @returns {{ position: string | null, isComplete: boolean, payloads: unknown[] }}
 */
function answerIn(result) {
  const { position, complete, events } = /** @type {Record<string, unknown>} */ (Object(result));
  if (typeof position !== 'string' || !Array.isArray(events) || !events.every(Array.isArray)) {
    return { position: null, isComplete: false, payloads: [] };
  }
  return { position, isComplete: complete === true, payloads: events.map(([, payload]) => payload ?? null) };
}
