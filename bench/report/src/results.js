/**
 * What the benchmarks have found out, as they write it: one JSON file for each question.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** @typedef {{ cpu: string, cores: number, kernel: string, date: string }} Machine */
/** @typedef {{ text: string, value: number, limit: number, reached: boolean }} Goal */

/**
 * @typedef {object} Row
 * @property {string} peer
 * @property {number[]} repetitions
 * @property {number} median
 * @property {number} min
 * @property {number} max
 * @property {Record<string, number>} ratio_to  by peer: the median of the ratios of neighbouring repetitions
 */

/** @typedef {{ name: string, rows: Row[] }} Case */

/**
 * @typedef {object} Result
 * @property {string} question
 * @property {string} title
 * @property {string} unit
 * @property {Machine} machine
 * @property {Record<string, string>} versions
 * @property {Record<string, string>} [missing]  peers that were not measured, and why
 * @property {Case[]} cases
 * @property {Goal[]} goals
 */

/** @typedef {Map<string, Result>} Results  by question */

/**
 * All results of a directory.
 *
 * @param {string} directory
 * @returns {Results}
 */
export const readResults = (directory) => {
  const names = readdirSync(directory).filter((name) => name.endsWith('.json')).sort();
  return new Map(
    names.map((name) => {
      /** @type {Result} */
      const result = JSON.parse(readFileSync(join(directory, name), 'utf8'));
      return [result.question, result];
    }),
  );
};

/** @type {(result: Result | undefined, name: string) => Case | undefined} */
export const caseOf = (result, name) => result?.cases.find((other) => other.name === name);

/** @type {(one: Case | undefined, peer: string) => Row | undefined} */
export const rowOf = (one, peer) => one?.rows.find((row) => row.peer === peer);
