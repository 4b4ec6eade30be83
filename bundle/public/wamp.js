/**
 * WAMP v1 messages, as a browser sends and receives them.
 *
 * Pure: text in, a message out, and the other way round. Knows nothing of sockets, subscriptions or pending calls. What is
 * not a message of a server is a `WampError`; what to do about it is the caller's to decide.
 */

/**
 * Subprotocols, best first. `orosync.1` is WAMP v1 too; it tells the server that this client understands its close codes.
 */
export const SUBPROTOCOLS = ['orosync.1', 'wamp'];

const WELCOME = 0;
const CALL = 2;
const CALL_RESULT = 3;
const CALL_ERROR = 4;
const SUBSCRIBE = 5;
const UNSUBSCRIBE = 6;
const PUBLISH = 7;
const EVENT = 8;

/** How much of an unreadable message an error shows. */
const EXCERPT_LENGTH = 80;

/** @typedef {{ type: 'welcome', sessionId: string, server: string }} Welcome */
/** @typedef {{ type: 'callResult', callId: string, result: unknown }} CallResult */
/**
 * @typedef {{ type: 'callError', callId: string, uri: string, reason: string, details: unknown }} CallErrorMessage
 *   A refused SUBSCRIBE or PUBLISH arrives as one too: `callId` and `uri` are the topic then.
 */
/**
 * @typedef {{ type: 'event', topic: string, payload: unknown, position?: string }} SyncEvent
 *   `payload` is as published; nobody has checked it. `position`: only of a subscription made by `orosync/subscribe`.
 */
/** @typedef {CallResult | CallErrorMessage | SyncEvent} SessionMessage  what may come after WELCOME, in any order */
/** @typedef {Welcome | SessionMessage} ServerMessage */

/**
 * @typedef {object} PublishOptions
 * @property {boolean} [excludeMe] this session does not get its own event; not together with `exclude`
 * @property {string[]} [exclude] session ids that do not get the event
 * @property {string[]} [eligible] only these session ids get the event; empty: all
 */

/** What arrived is no message that a WAMP v1 server sends. */
export class WampError extends Error {
  name = 'WampError';
}

/** @type {(topic: string) => string} */
export const encodeSubscribe = (topic) => JSON.stringify([SUBSCRIBE, topic]);

/** @type {(topic: string) => string} */
export const encodeUnsubscribe = (topic) => JSON.stringify([UNSUBSCRIBE, topic]);

/** @type {(callId: string, procedure: string, args: unknown[]) => string} */
export const encodeCall = (callId, procedure, args) => JSON.stringify([CALL, callId, procedure, ...args]);

/**
 * `payload` may be anything that JSON can say; `undefined` is sent as `null`.
 *
 * @param {string} topic
 * @param {unknown} payload
 * @param {PublishOptions} [options]
 */
export function encodePublish(topic, payload, { excludeMe, exclude, eligible } = {}) {
  if (excludeMe !== undefined && exclude !== undefined) {
    throw new TypeError(`publish to "${topic}": both excludeMe and exclude are given. WAMP v1 has one place for the two: choose one.`);
  }
  const message = [PUBLISH, topic, payload];
  if (eligible !== undefined) {
    message.push(exclude ?? excludeMe ?? [], eligible);
  } else if (exclude !== undefined || excludeMe !== undefined) {
    message.push(exclude ?? excludeMe);
  }
  return JSON.stringify(message);
}

/**
 * Reads one frame of a server.
 *
 * @param {unknown} frame what the socket delivered: a string, unless the server sent a binary frame
 * @returns {ServerMessage}
 * @throws {WampError}
 */
export function decode(frame) {
  if (typeof frame !== 'string') {
    throw new WampError('the server sent a binary frame; WAMP v1 is text');
  }
  const message = parseArray(frame);
  const [type, first, second, third, fourth] = message;
  if (type === WELCOME && typeof first === 'string' && second === 1) {
    return { type: 'welcome', sessionId: first, server: String(third ?? '') };
  }
  if (type === EVENT && typeof first === 'string') {
    return { type: 'event', topic: first, payload: second ?? null, ...(typeof third === 'string' ? { position: third } : {}) };
  }
  if (type === CALL_RESULT && isId(first)) {
    return { type: 'callResult', callId: String(first), result: second ?? null };
  }
  if (type === CALL_ERROR && isId(first) && typeof second === 'string') {
    return { type: 'callError', callId: String(first), uri: second, reason: String(third ?? ''), details: fourth };
  }
  throw new WampError(`not a message of a WAMP v1 server: ${excerpt(frame)}`);
}

/**
 * Whether a call failed because the server does not know the procedure: ours says 404, others may give no code.
 *
 * @param {{ details: unknown }} error
 */
export function isUnknownProcedure({ details }) {
  const { code } = /** @type {{ code?: unknown }} */ (Object(details));
  return typeof code !== 'number' || code === 404;
}

/** Whether a call failed because the server cannot answer it at the moment. @param {{ details: unknown }} error */
export function isUnavailable({ details }) {
  const { code } = /** @type {{ code?: unknown }} */ (Object(details));
  return code === 503;
}

/**
 * @param {string} frame
 * @returns {unknown[]}
 */
function parseArray(frame) {
  let value;
  try {
    value = JSON.parse(frame);
  } catch (cause) {
    throw new WampError(`the server sent what is not JSON: ${excerpt(frame)}`, { cause });
  }
  if (!Array.isArray(value)) {
    throw new WampError(`the server sent JSON that is no array: ${excerpt(frame)}`);
  }
  return value;
}

/**
 * Servers repeat a call id as it was sent; ours are strings, but a server may turn one that looks like a number into one.
 *
 * @type {(value: unknown) => boolean}
 */
const isId = (value) => typeof value === 'string' || typeof value === 'number';

/** @type {(frame: string) => string} */
const excerpt = (frame) => JSON.stringify(frame.length > EXCERPT_LENGTH ? `${frame.slice(0, EXCERPT_LENGTH)}…` : frame);
