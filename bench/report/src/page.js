/**
 * Generates the pages from the results: docs/performance.md, which fits on a screen; in docs/performance/, one page per question
 * and one with the goals; and the table in the README.
 */

import { claimRows, ratioText } from './claims.js';
import { figure, times } from './figures.js';
import { isLimit, isOurs, nameOf } from './names.js';
import { QUESTIONS, referenceOf } from './questions.js';
import { caseOf, rowOf } from './results.js';

/** @import { ClaimRow } from './claims.js' */
/** @import { Case, Goal, Machine, OtherMachine, Result, Results } from './results.js' */
/** @import { Question } from './questions.js' */

/** The page name of the goals. */
const GOALS = 'goals';

/** The header and the delimiter row of a table of goals. */
const GOAL_HEAD = ['| goal | measured | limit | |', '| --- | ---: | ---: | --- |'];

/** Shown for a missed goal without a reason. */
const UNEXPLAINED = 'no known reason';

/**
 * All pages by their paths below docs/.
 *
 * @type {(results: Results, others: OtherMachine[]) => Map<string, string>}
 */
export const pages = (results, others) => {
  const questions = QUESTIONS.filter(({ id }) => results.has(id));
  return new Map([
    ['performance.md', overview(questions, results, others)],
    [`performance/${GOALS}.md`, goals(questions, results)],
    ...questions.map((question) => /** @type {[string, string]} */ ([`performance/${fileOf(question.id)}`, questionPage(question, results)])),
  ]);
};

/** The file name of a question's page. @type {(id: string) => string} */
const fileOf = (id) => `${id.replaceAll('_', '-')}.md`;

/** @type {(blocks: string[]) => string} */
const joined = (blocks) => `${blocks.join('\n\n')}\n`;

/** @type {(questions: Question[], results: Results, others: OtherMachine[]) => string} */
const overview = (questions, results, others) => {
  const all = questions.flatMap(({ id }) => results.get(id)?.goals ?? []);
  const reached = all.filter((goal) => goal.reached).length;
  return joined([
    '# Performance',
    [
      'Each row compares Orosync with something else, measured alternately in the same run. The ratio is Orosync\'s figure divided by the',
      'other one: below 1 is better. In parentheses: its smallest and largest value over the repetitions.',
    ].join('\n'),
    claims(results, others),
    [
      `**Machine 1**: ${machines(results)}. Both ends of every connection were on it.`,
      ...others.map(({ machine, measured }, index) => `**Machine ${index + 2}**: ${machine}. Measured with ${measured}.`),
    ].join('\\\n'),
    [
      `${reached} of ${all.length} goals are reached on machine 1. [Goals](performance/${GOALS}.md) lists all of them, with the reason for each missed one.`,
    ].join('\n'),
    '## How to read it',
    reading(results),
    '## All figures',
    questions.map(({ id }) => `- [${results.get(id)?.title}](performance/${fileOf(id)})`).join('\n'),
    '## How to repeat it',
    repetition(),
  ]);
};

/** @type {(results: Results, others: OtherMachine[]) => string} */
const claims = (results, others) => [
  `| | Orosync | compared with | ratio on machine 1 |${others.map((_, index) => ` on machine ${index + 2} |`).join('')}`,
  `| --- | ---: | --- | --- |${' --- |'.repeat(others.length)}`,
  ...claimRows(results, others).map(({ claim, ours, beside, ratio, spread, others: there }) => {
    const text = results.has(claim.question) ? `[${claim.text}](performance/${fileOf(claim.question)})` : claim.text;
    const here = ratio === undefined ? '' : spread === undefined ? times(ratio) : `${times(ratio)} (${ratioText(spread)})`;
    return `| ${text} | ${ours === '' ? '–' : ours} | ${beside} | ${here} |${there.map(({ text: words }) => ` ${words} |`).join('')}`;
  }),
].join('\n');

/**
 * The README's table, with the range over the machines.
 *
 * @type {(results: Results, others: OtherMachine[]) => string}
 */
export const readmeTable = (results, others) => [
  '| | Orosync | compared with, in the same run | ratio |',
  '| --- | ---: | --- | --- |',
  ...claimRows(results, others)
    .filter(({ claim, ours }) => claim.inReadme && ours !== '')
    .map((row) => `| ${row.claim.text} | ${row.ours} | ${row.beside} | ${overMachines(row)} |`),
].join('\n');

/** @type {(row: ClaimRow) => string} */
const overMachines = ({ ratio, others }) => {
  if (ratio === undefined) {
    return '';
  }
  const all = [ratio, ...others.flatMap(({ ratio: there }) => there ?? [])];
  return ratioText([Math.min(...all), Math.max(...all)]);
};

/** The machines of these results, merged by processor and number of cores. @type {(results: Results) => string} */
const machines = (results) => {
  const all = [...results.values()].map(({ machine }) => machine);
  const kinds = new Set(all.map(({ cores, cpu }) => `${cores} cores (${cpu})`));
  return [...kinds].map((kind) => {
    const of = all.filter(({ cores, cpu }) => kind === `${cores} cores (${cpu})`);
    const distinct = (/** @type {(machine: Machine) => string | undefined} */ property) =>
      [...new Set(of.map(property).filter((value) => value !== undefined))].sort();
    const days = distinct(({ date }) => date);
    return [
      kind,
      ...distinct(({ hypervisor }) => hypervisor).map((hypervisor) => `hypervisor ${hypervisor}`),
      `Linux ${distinct(({ kernel }) => kernel).join(' and ')}`,
      ...distinct(({ io_uring }) => io_uring).map((ring) => `io_uring ${ring}`),
      days.length > 1 ? `${days[0]} to ${days.at(-1)}` : days.join(),
    ].join(', ');
  }).join('; ');
};

/** @type {(results: Results) => string} */
const reading = (results) => {
  const last = rowOf(caseOf(results.get('latency'), 'last, p50'), 'orosync')?.median;
  return [
    '- Absolute figures are valid for one machine. `make bench` first prints how yours differs: processor, cores, kernel, hypervisor,',
    '  `io_uring`, the cost of a system call and of a wake-up.',
    '- A lone event costs a send for each session. Where `io_uring` is faster, Orosync needs 0.6 to 0.8 x the CPU time of one write for each',
    '  session, elsewhere about 1.0 x. That depends on the kernel, and differed between runs on the same machine: compare the `io_uring` rows of',
    '  [Fan-out](performance/fan-out.md).',
    '- The last subscriber receives an event after the number of sessions on its shard times the duration of a delivery.',
    ...(last === undefined ? [] : [`  The last of 1,000 on one shard received it after ${figure(last)} ms. Twice as many shards, on twice as many cores, halve that time.`]),
    '- On loopback, about half of a delivery\'s cost is the kernel\'s work for the receiver. Over a network, that work is on another machine.',
  ].join('\n');
};

/** @type {(questions: Question[], results: Results) => string} */
const goals = (questions, results) => {
  const all = questions.flatMap(({ id }) => (results.get(id)?.goals ?? []).map((goal) => ({ id, goal })));
  const missed = all.filter(({ goal }) => !goal.reached);
  const link = (/** @type {string} */ id) => `[${id.replaceAll('_', ' ')}](${fileOf(id)})`;
  return joined([
    `# Goals: ${all.length - missed.length} of ${all.length} reached`,
    'The goals of each question of the [benchmarks](../performance.md), measured on the machine that the question\'s page names.',
    '## Missed',
    [
      '| question | goal | measured | limit | why |',
      '| --- | --- | ---: | ---: | --- |',
      ...missed.map(({ id, goal }) => `| ${link(id)} | ${goal.text} | ${figure(goal.value)} | ${figure(goal.limit)} | ${goal.reason ?? UNEXPLAINED} |`),
    ].join('\n'),
    '## Reached',
    [
      '| question | goal | measured | limit |',
      '| --- | --- | ---: | ---: |',
      ...all.filter(({ goal }) => goal.reached).map(({ id, goal }) => `| ${link(id)} | ${goal.text} | ${figure(goal.value)} | ${figure(goal.limit)} |`),
    ].join('\n'),
  ]);
};

/** @type {(question: Question, results: Results) => string} */
const questionPage = (question, results) => {
  const result = results.get(question.id);
  if (result === undefined) {
    throw new Error(`${question.id} has no results`);
  }
  const all = [result, ...question.also.map((id) => results.get(id)).filter((other) => other !== undefined)];
  const missing = Object.entries(result.missing ?? {}).map(([peer, why]) => `Not measured: ${nameOf(peer)} (${why}).`);
  return joined([
    `# ${result.title}`,
    question.asked,
    `![${result.title}](../images/performance/${question.id}.svg)`,
    `${meaning(question, result)} ${question.reading}`.trim(),
    ...(missing.length > 0 ? [missing.join(' ')] : []),
    ...(all.some((one) => one.goals.length > 0) ? ['## Goals', [...GOAL_HEAD, ...all.flatMap((one) => one.goals.map(goalRow))].join('\n')] : []),
    '## All figures',
    ...all.map((one) => table(question, one)),
    `${machineOf(result)} Versions: ${versions(result)}. [All questions](../performance.md)`,
  ]);
};

/** @type {(goal: Goal) => string} */
const goalRow = ({ text, value, limit, reached, reason }) =>
  `| ${text} | ${figure(value)} | ${figure(limit)} | ${reached ? 'reached' : `**missed**: ${reason ?? UNEXPLAINED}`} |`;

/** @type {(result: Result) => string} */
const machineOf = ({ machine }) => [
  `Measured on ${machine.cores} cores (${machine.cpu})`,
  ...(machine.hypervisor === undefined ? [] : [`hypervisor ${machine.hypervisor}`]),
  `Linux ${machine.kernel}`,
  ...(machine.io_uring === undefined ? [] : [`io_uring ${machine.io_uring}`]),
  ...(machine.system_call_ns === undefined ? [] : [`a system call ${figure(machine.system_call_ns)} ns`]),
  ...(machine.wake_us === undefined ? [] : [`a wake-up ${figure(machine.wake_us)} us`]),
  `on ${machine.date}.`,
].join(', ');

/** @type {(result: Result) => string} */
const versions = (result) =>
  Object.entries(result.versions)
    .filter(([peer]) => !peer.startsWith('raw_') && (peer === 'orosync' || !isOurs(peer)))
    .map(([peer, version]) => `${nameOf(peer)} ${version.replace(/^orosync-server /, '')}`)
    .sort()
    .join(', ') || result.versions.one_shard?.replace(/^orosync-server /, 'Orosync ') || 'Orosync';

/**
 * The ratios of the first pictured case as a sentence: to the raw limit, and to the best of the other servers.
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

/** @type {(question: Question, result: Result) => string} */
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
].join('\n');

/** @type {(question: Question, one: Case, peer: string) => string} */
const ratio = (question, one, peer) => {
  const reference = referenceOf(question, one)?.peer ?? 'orosync';
  const value = rowOf(one, peer)?.ratio_to[reference];
  if (reference === peer) {
    return '1';
  }
  return value === undefined ? '' : `${times(value)} ${nameOf(reference)}`;
};

const repetition = () => [
  'As root on Debian 12; as another user, first install what `scripts/install-deps bench` lists as missing:',
  '',
  '```sh',
  'make bench && make performance-page',
  '```',
  '',
  'The first command takes fifteen to thirty minutes on an otherwise idle machine. `make bench ORO=DIR` also measures OroPlatform\'s own WAMP',
  'client, from clones of its sources. The second command copies the results to `bench/results-published/` and generates these pages.',
  '`make bench-quick` takes a minute and shows whether everything works. Details: [bench/README.md](../bench/README.md).',
].join('\n');
