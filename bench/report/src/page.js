/** docs/performance.md, whole, from the results. */

import { figure, times } from './figures.js';
import { isLimit, isOurs, nameOf } from './names.js';
import { QUESTIONS, referenceOf } from './questions.js';
import { caseOf, rowOf } from './results.js';

/** @import { Case, Result, Results } from './results.js' */
/** @import { Question } from './questions.js' */

/** The case that says what a lone message costs. */
const LONE = '1,000 subscribers, 120 bytes, 1 in flight';

/** Tables with more rows are folded. */
const OPEN_ROWS = 12;

/** @type {(results: Results) => string} */
export const page = (results) => {
  const questions = QUESTIONS.filter(({ id }) => results.has(id));
  return [
    '# Performance',
    introduction(results),
    goals(questions, results),
    '## What may be claimed',
    claims(results),
    ...questions.flatMap((question) => section(question, results)),
    '## How to repeat it',
    repetition(),
  ].join('\n\n') + '\n';
};

/** @type {(results: Results) => string} */
const introduction = (results) => {
  const machines = new Set([...results.values()].map(({ machine: { cpu, cores, kernel, date } }) =>
    `${cores} cores (${cpu}), Linux ${kernel}, ${date}`));
  /** @type {Map<string, string>} */
  const versions = new Map();
  for (const result of results.values()) {
    for (const [peer, version] of Object.entries(result.versions)) {
      if (!peer.startsWith('raw_') && (peer === 'orosync' || !isOurs(peer))) {
        versions.set(peer, version);
      }
    }
  }
  const ran = [...versions].sort().map(([peer, version]) => `${nameOf(peer)} ${version.replace(/^orosync-server /, '')}`);
  return [
    'This page is made from measurements: `make bench` takes them, `make performance-page` writes it. Each question is asked of Orosync, of',
    'what the kernel or PHP takes for the bare work, and of what could be used instead, in turn, in one run. Compare the ratios of one run;',
    'the figures themselves are those of one machine, and both ends of every connection were on it.',
    '',
    `Measured on: ${[...machines].join('; ')}. Versions: ${ran.join(', ')}.`,
  ].join('\n');
};

/** @type {(questions: Question[], results: Results) => string} */
const goals = (questions, results) => {
  const rows = questions.flatMap(({ id }) => results.get(id)?.goals.map((goal) => ({ id, ...goal })) ?? []);
  const reached = rows.filter((row) => row.reached).length;
  return [
    `## Goals: ${reached} of ${rows.length} reached`,
    '',
    '| question | goal | measured | limit | |',
    '| --- | --- | ---: | ---: | --- |',
    ...rows.map(({ id, text, value, limit, reached }) =>
      `| [${id.replaceAll('_', ' ')}](#${anchor(results.get(id)?.title ?? '')}) | ${text} | ${figure(value)} | ${figure(limit)} | ${reached ? 'reached' : '**missed**'} |`),
  ].join('\n');
};

/** @type {(results: Results) => string} */
const claims = (results) => {
  const cost = rowOf(caseOf(results.get('fan_out'), LONE), 'orosync')?.median;
  const last = rowOf(caseOf(results.get('latency'), 'last, p50'), 'orosync')?.median;
  const lines = [
    'The time until the last subscriber has a message is the number of sessions times the cost of a delivery, and nothing else: a server with',
    'twice as many shards on as many cores has it in half the time. So "within a fraction of a millisecond" may be said only of as many sessions',
    'on one shard as fit into one.',
  ];
  if (cost !== undefined) {
    lines.push(
      `Here a lone message costs ${figure(cost)} us of the server's CPU for each delivery: on one shard the last of 1,000 sessions cannot have it`,
      `before ${figure(cost)} ms.`,
    );
  }
  if (last !== undefined) {
    lines.push(
      `Measured, with the load generator's own reading, is ${figure(last)} ms to the last of 1,000, at the median:`,
      last < 1 ? 'it may be said of these 1,000.' : `it may not be said of 1,000, but of about ${figure(Math.floor(1000 / last / 10) * 10)} on a shard.`,
    );
  }
  lines.push(
    '',
    'A comparison that shows only lone messages, or only bursts, can be made to say anything; both are below. On loopback about half of what a',
    'delivery costs is the receiver\'s side of the kernel, which over a network is another machine\'s.',
  );
  return lines.join('\n');
};

/** @type {(question: Question, results: Results) => string[]} */
const section = (question, results) => {
  const result = results.get(question.id);
  if (result === undefined) {
    return [];
  }
  const others = question.also.map((id) => results.get(id)).filter((other) => other !== undefined);
  const missing = Object.entries(result.missing ?? {}).map(([peer, why]) => `Not measured: ${nameOf(peer)} (${why}).`);
  return [
    `## ${result.title}`,
    question.asked,
    `![${result.title}](images/performance/${question.id}.svg)`,
    `${meaning(question, result)} ${question.reading}`,
    ...(missing.length > 0 ? [missing.join(' ')] : []),
    ...[result, ...others].map((one) => folded(table(question, one), one)),
  ];
};

/**
 * The ratios of the first pictured case, in words: to the bare work, and to the nearest of the others.
 *
 * @type {(question: Question, result: Result) => string}
 */
const meaning = (question, result) => {
  const one = result.cases.find((other) => question.pictured.test(other.name));
  const ours = one?.rows.find((row) => isOurs(row.peer));
  if (one === undefined || ours === undefined) {
    return '';
  }
  const limit = one.rows.find((row) => isLimit(row.peer) && row.median > 0);
  const peers = one.rows.filter((row) => !isOurs(row.peer) && !isLimit(row.peer) && row.median > 0);
  const best = peers.toSorted((a, b) => a.median - b.median)[0];
  const parts = [];
  if (limit !== undefined) {
    parts.push(`${times(ours.ratio_to[limit.peer] ?? ours.median / limit.median)} ${nameOf(limit.peer)}`);
  }
  if (best !== undefined) {
    parts.push(`${times(ours.ratio_to[best.peer] ?? ours.median / best.median)} the best of the others (${nameOf(best.peer)})`);
  }
  return parts.length > 0
    ? `${nameOf(ours.peer)}, ${one.name}: ${figure(ours.median)} ${result.unit}, ${parts.join(' and ')}.`
    : `${nameOf(ours.peer)}, ${one.name}: ${figure(ours.median)} ${result.unit}.`;
};

/** @type {(question: Question, result: Result) => string[]} */
const table = (question, result) => [
  `| ${result.unit} | median | from | to | repetitions | ratio |`,
  '| --- | ---: | ---: | ---: | ---: | --- |',
  ...result.cases.flatMap((one) => [
    `| **${one.name}** | | | | | |`,
    ...one.rows.map((row) => {
      const name = isOurs(row.peer) ? `**${nameOf(row.peer)}**` : nameOf(row.peer);
      return `| ${name} | ${figure(row.median)} | ${figure(row.min)} | ${figure(row.max)} | ${row.repetitions.length} | ${ratio(question, one, row.peer)} |`;
    }),
  ]),
];

/** @type {(question: Question, one: Case, peer: string) => string} */
const ratio = (question, one, peer) => {
  const reference = referenceOf(question, one)?.peer ?? 'orosync';
  const value = rowOf(one, peer)?.ratio_to[reference];
  if (reference === peer) {
    return '1';
  }
  return value === undefined ? '' : `${times(value)} ${nameOf(reference)}`;
};

/** @type {(lines: string[], result: Result) => string} */
const folded = (lines, result) =>
  lines.length <= OPEN_ROWS + 2
    ? lines.join('\n')
    : `<details><summary>All figures: ${result.title}, ${result.unit}</summary>\n\n${lines.join('\n')}\n\n</details>`;

const repetition = () => [
  'As root on Debian 12, or after what `scripts/install-deps bench` says is missing was installed:',
  '',
  '```sh',
  'make bench && make performance-page',
  '```',
  '',
  'The first takes about ten minutes, writes one JSON file for each question into `bench/results/` and prints tables; let nothing else run meanwhile.',
  'The second copies them to `bench/results-published/`, where those of this page are, and writes the page and its pictures.',
  '`make bench-quick` takes a minute and shows whether everything runs; its figures are not for publication. Where the time goes is shown by `make profile`.',
].join('\n');

/** As code hosts make it of a heading. @type {(heading: string) => string} */
const anchor = (heading) => heading.toLowerCase().replaceAll(/[^\p{L}\p{N} _-]/gu, '').replaceAll(' ', '-');
