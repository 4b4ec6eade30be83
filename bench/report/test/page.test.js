import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

import { claimRows } from '../src/claims.js';
import { pages, readmeTable } from '../src/page.js';
import { picture } from '../src/picture.js';
import { QUESTIONS } from '../src/questions.js';
import { withTable } from '../src/readme.js';
import { readOtherMachines, readResults } from '../src/results.js';

/** @import { Result } from '../src/results.js' */

/** @type {(path: string) => URL} */
const below = (path) => new URL(`../../../${path}`, import.meta.url);

const results = readResults(below('bench/results-published').pathname);
const others = readOtherMachines(below('bench/results-published').pathname);
const HOW_TO_UPDATE = 'Run: make performance-page';

test('the pages say what the published results say', () => {
  assert.ok(results.size > 0);
  const made = pages(results, others);
  for (const [path, text] of made) {
    assert.equal(readFileSync(below(`docs/${path}`), 'utf8'), text, HOW_TO_UPDATE);
  }
  const behind = [...made.keys()].filter((path) => path.startsWith('performance/'));
  assert.deepEqual(readdirSync(below('docs/performance')).map((file) => `performance/${file}`).sort(), behind.sort(), HOW_TO_UPDATE);
});

test('the README quotes the published results', () => {
  const readme = readFileSync(below('README.md'), 'utf8');
  assert.equal(readme, withTable(readme, readmeTable(results, others)), HOW_TO_UPDATE);
});

test('the pictures show what the published results say', async () => {
  const pictured = QUESTIONS.filter(({ id }) => results.has(id));
  const files = readdirSync(below('docs/images/performance'));
  assert.deepEqual(files.sort(), pictured.map(({ id }) => `${id}.svg`).sort(), HOW_TO_UPDATE);
  for (const question of pictured) {
    const result = results.get(question.id);
    assert.ok(result);
    const made = await picture(question, result);
    assert.equal(readFileSync(below(`docs/images/performance/${question.id}.svg`), 'utf8'), made, HOW_TO_UPDATE);
  }
});

test('every published result is on a page', () => {
  const known = new Set(QUESTIONS.flatMap(({ id, also }) => [id, ...also]));
  assert.deepEqual([...results.keys()].filter((id) => !known.has(id)), []);
});

test('every missed goal has its reason', () => {
  const missed = [...results.values()].flatMap(({ question, goals }) => goals.map((goal) => ({ question, ...goal }))).filter(({ reached }) => !reached);
  const unexplained = missed.filter(({ reason }) => reason === undefined).map(({ question, text }) => `${question}: ${text}`);
  assert.deepEqual(unexplained, [], 'The program that states a goal says why it is missed: if_missed() in bench/src, the last argument in bench/php');
});

test('every figure of the other machines belongs to a claim', () => {
  const ids = claimRows(results, others).map(({ claim }) => claim.id);
  assert.deepEqual(others.flatMap(({ figures, before }) => [...Object.keys(figures), ...before]).filter((id) => !ids.includes(id)), []);
});

test('the overview fits on a screen', () => {
  const lines = pages(results, others).get('performance.md')?.split('\n') ?? [];
  assert.ok(lines.indexOf('## All figures') < 50, 'what a reader wants to know comes first');
});

test('a question without results is on no page, and a claim without figures in no table', () => {
  const few = new Map([...results].filter(([id]) => id === 'fan_out'));
  const made = pages(few, []);
  assert.deepEqual([...made.keys()], ['performance.md', 'performance/goals.md', 'performance/fan-out.md']);
  assert.deepEqual([...new Set(claimRows(few, []).map(({ claim }) => claim.question))], ['fan_out']);
});

test('a ratio comes with its spread, and the README with the range of the machines', () => {
  const one = /** @type {Result} */ ({
    question: 'fan_out',
    title: 'Fan-out',
    unit: 'us of server CPU per delivery',
    machine: { cpu: 'A', cores: 2, kernel: '6', date: '2026-01-01' },
    versions: {},
    cases: [
      {
        name: '1,000 subscribers, 120 bytes, 1 in flight',
        rows: [
          { peer: 'orosync', repetitions: [1, 3, 2], median: 2, min: 1, max: 3, ratio_to: {} },
          { peer: 'raw_write', repetitions: [2, 4, 2], median: 2, min: 2, max: 4, ratio_to: {} },
        ],
      },
    ],
    goals: [{ text: 'few', value: 2, limit: 1, reached: false, reason: 'there are more' }],
  });
  const found = new Map([['fan_out', one]]);
  const there = { name: 'b', machine: 'B', measured: 'C', figures: { lone_1000: 1.03 }, before: [] };
  const third = { ...there, name: 'c', figures: { lone_1000: [0.6, 0.7] } };
  const made = pages(found, [there, third]);
  assert.match(made.get('performance.md') ?? '', /\| one write for each \| 0\.75 x \(0\.50 to 1\.00 x\) \| 1\.03 x \| 0\.60 to 0\.70 x \|/);
  assert.match(made.get('performance/goals.md') ?? '', /\| few \| 2\.00 \| 1\.00 \| there are more \|/);
  assert.match(readmeTable(found, [there, third]), /\| one write for each \| 0\.60 to 1\.03 x \|/);
  const earlier = { ...there, before: ['lone_1000'] };
  assert.match(pages(found, [earlier]).get('performance.md') ?? '', /\| 1\.03 x, before \|/);
  assert.match(readmeTable(found, [earlier]), /\| one write for each \| 0\.75 x \|/, 'this version\'s figures alone');
});
