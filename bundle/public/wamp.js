/**
 * Encodes and decodes WAMP v1 messages on the browser's side.
 *
 * Pure: text to message and back. Knows nothing of sockets, subscriptions or pending calls. Throws `WampError` for anything
 * that is not a server's message; the caller decides what follows.
 */

/**
 * Subprotocols in order of preference. `orosync.1` is also WAMP v1; it shows the server that the client understands its
 * close codes.
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

/** Maximum excerpt of an unreadable message in an error, in characters. */
const EXCERPT_LENGTH = 80;

/** @typedef {{ type: 'welcome', sessionId: string, server: string }} Welcome */
/** @typedef {{ type: 'callResult', callId: string, result: unknown }} CallResult */
/**
 * @typedef {{ type: 'callError', callId: string, uri: string, reason: string, details: unknown }} CallErrorMessage Also the
 *   answer to a refused SUBSCRIBE or PUBLISH; `callId` and `uri` are then the topic.
 */
/**
 * @typedef {{ type: 'event', topic: string, payload: unknown, position?: string }} SyncEvent `payload` is as published,
 *   unchecked. `position`: only for subscriptions made with `orosync/subscribe`.
 */
/** @typedef {CallResult | CallErrorMessage | SyncEvent} SessionMessage  any message after WELCOME, in any order */
/** @typedef {Welcome | SessionMessage} ServerMessage */

/**
 * @typedef {object} PublishOptions
 * @property {boolean} [excludeMe] this session does not get its own event; not together with `exclude`
 * @property {string[]} [exclude] session ids that do not get the event
 * @property {string[]} [eligible] only these session ids get the event; empty: all
 */

/** The received frame is not a message of a WAMP v1 server. */
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
 * `payload` may be anything that JSON can represent; `undefined` is sent as `null`.
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
 * Whether a call failed because the server does not know the procedure. `orosync-server` answers code 404, other servers may
 * give none.
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
    throw new WampError(`the server sent invalid JSON: ${excerpt(frame)}`, { cause });
  }
  if (!Array.isArray(value)) {
    throw new WampError(`the server sent JSON that is not an array: ${excerpt(frame)}`);
  }
  return value;
}

/**
 * Whether the value is a call id. The client sends strings; a server may return one that looks like a number as a number.
 *
 * @type {(value: unknown) => boolean}
 */
const isId = (value) => typeof value === 'string' || typeof value === 'number';

/** @type {(frame: string) => string} */
const excerpt = (frame) => JSON.stringify(frame.length > EXCERPT_LENGTH ? `${frame.slice(0, EXCERPT_LENGTH)}…` : frame);
