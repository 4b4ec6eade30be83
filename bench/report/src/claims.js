/**
 * The claims of docs/performance.md, in order. A claim compares a figure of Orosync with another one of the same run, and is shown with
 * the spread of their ratio and with the figures of another machine.
 */

import { figure, times } from './figures.js';
import { nameOf } from './names.js';
import { caseOf, rowOf } from './results.js';

/** @import { Case, OtherMachine, Result, Results } from './results.js' */

/**
 * @typedef {object} Claim
 * @property {string} id  the key of its figures in the results of the other machine
 * @property {string} text
 * @property {string} question  id of its result, whose page has all figures
 * @property {string} inCase  name of the case in that result
 * @property {string} ours  the peer that is Orosync
 * @property {string} beside  the peer that it is compared with
 * @property {string} [besideText]  description of `beside`, where its name is not enough
 * @property {boolean} [added]  whether to compare the time that each adds to the mean of `page` and `the_same_page`
 * @property {boolean} [inReadme]  whether the README's table contains it
 */

/** Placeholder for the best of the other servers. */
const BEST = 'best_other_server';

/** @type {Claim[]} */
const CLAIMS = [
  { id: 'burst_json', text: 'A publishing call in a burst, 5 content tags', question: 'publish', inCase: 'burst, 5 content tags', ours: 'orosync', beside: 'json_encode', inReadme: true },
  { id: 'burst_redis', text: 'The same', question: 'publish', inCase: 'burst, 5 content tags', ours: 'orosync', beside: 'phpredis', inReadme: true },
  { id: 'idle_send', text: 'The first call of a request, after idle', question: 'publish', inCase: 'first of a request, after idle, small', ours: 'orosync', beside: 'send', inReadme: true },
  { id: 'idle_wamp', text: 'The first call of a request, connecting included where the client connects', question: 'publish', inCase: 'first of a request, after idle, small', ours: 'orosync', beside: 'wamp_client', inReadme: true },
  { id: 'first_message', text: 'The first message of a request, until a browser has it', question: 'publish_to_browser', inCase: 'connection open, idle for 5 ms', ours: 'orosync', beside: 'oro_wamp_client', inReadme: true },
  { id: 'page_1', text: 'What publishing adds to a page of FPM, 1 request at a time', question: 'page', inCase: 'one request at a time', ours: 'page_that_publishes', beside: 'page_with_phpredis', besideText: 'what phpredis adds, connection kept', added: true },
  { id: 'page_20', text: 'What publishing adds to a page of FPM, 20 requests at a time', question: 'page', inCase: '20 requests at a time', ours: 'page_that_publishes', beside: 'page_with_phpredis', besideText: 'what phpredis adds, connection kept', added: true, inReadme: true },
  { id: 'lone_1000', text: 'CPU of a delivery, lone event to 1,000 browsers', question: 'fan_out', inCase: '1,000 subscribers, 120 bytes, 1 in flight', ours: 'orosync', beside: 'raw_write', inReadme: true },
  { id: 'lone_1000_ratchet', text: 'The same', question: 'fan_out', inCase: '1,000 subscribers, 120 bytes, 1 in flight', ours: 'orosync', beside: 'ratchet', inReadme: true },
  { id: 'batched_1000', text: 'CPU of a delivery, 32 messages in flight to 1,000 browsers', question: 'fan_out', inCase: '1,000 subscribers, 120 bytes, 32 in flight', ours: 'orosync', beside: 'raw_batch', inReadme: true },
  { id: 'batched_1000_best', text: 'The same', question: 'fan_out', inCase: '1,000 subscribers, 120 bytes, 32 in flight', ours: 'orosync', beside: BEST, inReadme: true },
  { id: 'lone_10000', text: 'CPU of a delivery, lone event to 10,000 browsers', question: 'fan_out', inCase: '10,000 subscribers, 120 bytes, 1 in flight', ours: 'orosync', beside: 'raw_write', inReadme: true },
  { id: 'last', text: 'From a publish to the last of 1,000 browsers', question: 'latency', inCase: 'last, p50', ours: 'orosync', beside: BEST, inReadme: true },
  { id: 'shards', text: 'CPU of a delivery, lone event, two shards', question: 'shards', inCase: '1,000 subscribers, 120 bytes, 1 in flight', ours: 'two_shards', beside: 'one_shard' },
  { id: 'handshake', text: 'CPU of a handshake with a verified ticket', question: 'handshakes', inCase: 'up to the greeting', ours: 'orosync', beside: 'raw_write', besideText: 'bare accept and upgrade', inReadme: true },
  { id: 'handshake_subscription', text: 'CPU of a handshake with a subscription', question: 'handshakes', inCase: 'with a subscription', ours: 'orosync', beside: 'raw_write', besideText: 'bare accept and upgrade' },
  { id: 'session', text: 'Server memory of an idle session, at 10,000', question: 'memory', inCase: '10,000 sessions', ours: 'orosync', beside: 'ratchet', inReadme: true },
  { id: 'save', text: 'CPU of a save, 10,000 pages open, by content tags', question: 'saves', inCase: '10,000 pages, 1 in flight', ours: 'orosync', beside: 'orosync_broadcast' },
  { id: 'redis', text: 'To a browser at another node, through Redis', question: 'nodes', inCase: 'one browser, 200 bytes, p50', ours: 'orosync_redis_other', beside: 'socket_io_redis_other' },
  { id: 'dropped_topics', text: 'Latency of others, p99, while 1,000 sessions with 100,000 topics leave', question: 'crowds', inCase: '100,000 topics go', ours: 'orosync', beside: 'quiet', besideText: 'just before' },
];

/** Units as shown in the table, by the results' units. @type {Record<string, string>} */
const UNITS = {
  us: 'µs',
  'us in the script': 'µs',
  'us of server CPU per delivery': 'µs',
  'us of server CPU per handshake': 'µs',
  'us of server CPU per save': 'µs',
  'ms of a page': 'ms',
  'bytes of the server for each': 'bytes',
};

/** Whether this peer is another server. @type {(peer: string) => boolean} */
const isServer = (peer) => !/^(orosync|raw_|page|php|json_encode|send|bare_socket)/.test(peer);

/**
 * The table row of a claim.
 *
 * @typedef {object} ClaimRow
 * @property {Claim} claim
 * @property {string} ours  Orosync's figure with its unit; empty if either peer was not measured
 * @property {string} beside  description of the other peer
 * @property {number | undefined} ratio
 * @property {[number, number] | undefined} spread  of the ratio, over the repetitions
 * @property {OtherFigure[]} others  the figures of the other machines
 */

/**
 * A claim's figure on another machine.
 *
 * @typedef {object} OtherFigure
 * @property {string} text  empty if it was not measured there
 * @property {[number, number] | undefined} ratio  undefined if measured with an earlier version
 */

/** The rows of all claims that were measured on at least one machine. @type {(results: Results, machines: OtherMachine[]) => ClaimRow[]} */
export const claimRows = (results, machines) =>
  CLAIMS.map((claim) => claimRow(claim, results.get(claim.question), machines)).filter(
    ({ ours, others }) => ours !== '' || others.some(({ text }) => text !== ''),
  );

/** @type {(id: string, machine: OtherMachine) => OtherFigure} */
const otherFigure = (id, machine) => {
  const found = machine.figures[id];
  const isBefore = machine.before.includes(id);
  const words = typeof found === 'string' ? found : found === undefined ? '' : ratioText(range(found));
  return {
    text: isBefore && words !== '' ? `${words}, before` : words,
    ratio: typeof found === 'string' || found === undefined || isBefore ? undefined : range(found),
  };
};

/** @type {(claim: Claim, result: Result | undefined, machines: OtherMachine[]) => ClaimRow} */
const claimRow = (claim, result, machines) => {
  const others = machines.map((machine) => otherFigure(claim.id, machine));
  const one = caseOf(result, claim.inCase);
  const mine = rowOf(one, claim.ours);
  const peer = claim.beside === BEST ? bestOf(one) : claim.beside;
  const beside = claim.besideText ?? nameOf(peer).replace(/^raw limit: /, '');
  if (result === undefined || one === undefined || mine === undefined || rowOf(one, peer) === undefined) {
    return { claim, ours: '', beside, ratio: undefined, spread: undefined, others };
  }
  const unit = UNITS[result.unit] ?? result.unit;
  const values = claim.added ? added(one, claim.ours) : mine.repetitions;
  const ours = claim.added ? `${figure(median(values))} ${unit} of ${figure(mine.median)}` : `${figure(mine.median)} ${unit}`;
  const theirs = claim.added ? added(one, peer) : rowOf(one, peer)?.repetitions ?? [];
  const ratios = values.map((value, index) => value / (theirs[index] ?? Number.NaN)).filter(Number.isFinite);
  // An addition is a small difference of large figures, so only the ratio of the medians is meaningful.
  const ratio = claim.added ? median(values) / median(theirs) : median(ratios);
  const spread = claim.added || ratios.length < 2 ? undefined : range([Math.min(...ratios), Math.max(...ratios)]);
  return { claim, ours, beside, ratio, spread, others };
};

/** The time that a peer adds to a page, for each repetition. @type {(one: Case, peer: string) => number[]} */
const added = (one, peer) => {
  const without = ['page', 'the_same_page'].map((name) => rowOf(one, name)?.repetitions ?? []);
  return (rowOf(one, peer)?.repetitions ?? []).map((value, index) => value - ((without[0]?.[index] ?? 0) + (without[1]?.[index] ?? 0)) / 2);
};

/** The fastest of the other servers. @type {(one: Case | undefined) => string} */
const bestOf = (one) => one?.rows.filter((row) => isServer(row.peer)).toSorted((a, b) => a.median - b.median)[0]?.peer ?? BEST;

/** @type {(found: number | number[]) => [number, number]} */
const range = (found) => {
  const all = [found].flat();
  return [Math.min(...all), Math.max(...all)];
};

/** A ratio or a range of ratios as text. @type {(ratios: [number, number]) => string} */
export const ratioText = ([least, most]) => (times(least) === times(most) ? times(most) : `${times(least).replace(/ x$/, '')} to ${times(most)}`);

/** @type {(values: number[]) => number} */
const median = (values) => {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] ?? Number.NaN : ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2;
};
