/**
 * Generates docs/performance.md, the pages and charts of docs/performance/, and the README's figures: node bench/report/make.js
 *
 * First copies the results of `make bench`, if there are any, from bench/results/ to bench/results-published/.
 */

import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

import { pages, readmeTable } from './src/page.js';
import { picture } from './src/picture.js';
import { QUESTIONS } from './src/questions.js';
import { withTable } from './src/readme.js';
import { readOtherMachines, readResults } from './src/results.js';

/** @type {(path: string) => string} */
const below = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

const published = below('bench/results-published');
mkdirSync(published, { recursive: true });
for (const id of QUESTIONS.flatMap((question) => [question.id, ...question.also])) {
  const found = below(`bench/results/${id}.json`);
  if (existsSync(found)) {
    copyFileSync(found, `${published}/${id}.json`);
  }
}
const results = readResults(published);
const others = readOtherMachines(published);
const made = pages(results, others);
for (const question of QUESTIONS) {
  const result = results.get(question.id);
  if (result !== undefined) {
    made.set(`images/performance/${question.id}.svg`, await picture(question, result));
  }
}
const readme = below('README.md');
const quoted = withTable(readFileSync(readme, 'utf8'), readmeTable(results, others));

for (const old of ['images/performance', 'performance']) {
  rmSync(below(`docs/${old}`), { recursive: true, force: true });
}
for (const [path, text] of made) {
  mkdirSync(dirname(below(`docs/${path}`)), { recursive: true });
  writeFileSync(below(`docs/${path}`), text);
}
writeFileSync(readme, quoted);
