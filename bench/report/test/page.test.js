import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

import { page } from '../src/page.js';
import { picture } from '../src/picture.js';
import { QUESTIONS } from '../src/questions.js';
import { readResults } from '../src/results.js';

/** @type {(path: string) => URL} */
const below = (path) => new URL(`../../../${path}`, import.meta.url);

const results = readResults(below('bench/results-published').pathname);
const MADE_ANEW = 'Run: make performance-page';

test('the page says what the published results say', () => {
  assert.ok(results.size > 0);
  assert.equal(readFileSync(below('docs/performance.md'), 'utf8'), page(results), MADE_ANEW);
});

test('the pictures show what the published results say', async () => {
  const pictured = QUESTIONS.filter(({ id }) => results.has(id));
  const files = readdirSync(below('docs/images/performance'));
  assert.deepEqual(files.sort(), pictured.map(({ id }) => `${id}.svg`).sort(), MADE_ANEW);
  for (const question of pictured) {
    const result = results.get(question.id);
    assert.ok(result);
    const made = await picture(question, result);
    assert.equal(readFileSync(below(`docs/images/performance/${question.id}.svg`), 'utf8'), made, MADE_ANEW);
  }
});

test('every published result is on the page', () => {
  const known = new Set(QUESTIONS.flatMap(({ id, also }) => [id, ...also]));
  assert.deepEqual([...results.keys()].filter((id) => !known.has(id)), []);
});
