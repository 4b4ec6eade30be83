/**
 * Reads the results of the benchmarks: one JSON file per question.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * A machine. Optional properties are missing in older results.
 *
 * @typedef {object} Machine
 * @property {string} cpu
 * @property {number} cores
 * @property {string} kernel
 * @property {string} date
 * @property {string} [hypervisor]
 * @property {string} [io_uring]
 * @property {string} [clock]
 * @property {number} [system_call_ns]
 * @property {number} [wake_us]
 */

/**
 * @typedef {object} Goal
 * @property {string} text
 * @property {number} value
 * @property {number} limit
 * @property {boolean} reached
 * @property {string} [reason]  why the goal is missed
 */

/**
 * @typedef {object} Row
 * @property {string} peer
 * @property {number[]} repetitions
 * @property {number} median
 * @property {number} min
 * @property {number} max
 * @property {Record<string, number>} ratio_to  by peer: the median of the ratios of corresponding repetitions
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
 * The figures of another machine; only ratios are known.
 *
 * @typedef {object} OtherMachine
 * @property {string} name
 * @property {string} machine
 * @property {string} measured  how and when
 * @property {Record<string, number | number[] | string>} figures  by claim: a ratio, its minimum and maximum, or text
 * @property {string[]} before  claims whose figures were measured with an earlier version
 */

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

/** All other machines of a directory of published results, in the order of their names. @type {(directory: string) => OtherMachine[]} */
export const readOtherMachines = (directory) =>
  readdirSync(join(directory, 'machines')).sort().map((name) => JSON.parse(readFileSync(join(directory, 'machines', name), 'utf8')));

/** @type {(result: Result | undefined, name: string) => Case | undefined} */
export const caseOf = (result, name) => result?.cases.find((other) => other.name === name);

/** @type {(one: Case | undefined, peer: string) => Row | undefined} */
export const rowOf = (one, peer) => one?.rows.find((row) => row.peer === peer);
