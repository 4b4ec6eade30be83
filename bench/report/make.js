/**
 * docs/performance.md and its pictures: node bench/report/make.js
 *
 * Takes what `make bench` has left in bench/results/, if anything, to bench/results-published/, and writes the page from there.
 */

import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { page } from './src/page.js';
import { picture } from './src/picture.js';
import { QUESTIONS } from './src/questions.js';
import { readResults } from './src/results.js';

/** @type {(path: string) => string} */
const below = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

const published = below('bench/results-published');
const pictures = below('docs/images/performance');
mkdirSync(published, { recursive: true });
mkdirSync(pictures, { recursive: true });

for (const id of QUESTIONS.flatMap((question) => [question.id, ...question.also])) {
  const found = below(`bench/results/${id}.json`);
  if (existsSync(found)) {
    copyFileSync(found, `${published}/${id}.json`);
  }
}
const results = readResults(published);
for (const old of readdirSync(pictures)) {
  rmSync(`${pictures}/${old}`);
}
for (const question of QUESTIONS) {
  const result = results.get(question.id);
  if (result !== undefined) {
    writeFileSync(`${pictures}/${question.id}.svg`, await picture(question, result));
  }
}
writeFileSync(below('docs/performance.md'), page(results));
