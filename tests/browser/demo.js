/**
 * The demo, really run: `demo/bin/demo` in a directory of its own, on free ports.
 *
 * Owns the directory and the process; both are gone after `stop()`. Bound: 60 seconds to start, 20 to stop.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

const REPOSITORY = join(import.meta.dirname, '../..');
const START_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 20_000;

export class Demo {
  #child;

  /** @param {import('node:child_process').ChildProcess} child @param {string} directory @param {string} url */
  constructor(child, directory, url) {
    this.#child = child;
    this.directory = directory;
    this.url = url;
  }

  /** Runs once it has said that it answers. @param {...string} args of `demo/bin/demo` @returns {Promise<Demo>} */
  static async start(...args) {
    return Demo.startIn(await newDirectory(), ...args);
  }

  /**
   * The same with variables in its environment, which reach it and `orosync-server`.
   *
   * @param {Record<string, string>} environment @returns {Promise<Demo>}
   */
  static async startWith(environment) {
    return Demo.#run(await newDirectory(), 'demo/bin/demo', [], environment);
  }

  /** The same in a directory that has something in it already. @param {string} directory @param {...string} args @returns {Promise<Demo>} */
  static startIn(directory, ...args) {
    return Demo.#run(directory, 'demo/bin/demo', args);
  }

  /**
   * The same in a terminal, which ends with the process that `end` kills. The leader of its session outlives the loss and
   * waits, as make does.
   *
   * @returns {Promise<Demo>}
   */
  static async startInTerminal() {
    return Demo.#run(await newDirectory(), 'script', ['--quiet', '--command', 'trap : HUP; demo/bin/demo; true', '/dev/null']);
  }

  /**
   * @param {string} directory @param {string} command @param {string[]} args @param {Record<string, string>} [environment]
   * @returns {Promise<Demo>}
   */
  static async #run(directory, command, args, environment = {}) {
    const child = spawn(command, args, {
      cwd: REPOSITORY,
      env: {
        ...process.env,
        ...environment,
        APP_ENV: '',
        DEMO_DIR: directory,
        DEMO_HOST: '127.0.0.1',
        DEMO_PORT: '0',
        DEMO_SERVER_PORT: '0',
        DEMO_ADMIN_PORT: '0',
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const limit = setTimeout(() => child.kill(), START_LIMIT_MS);
    for await (const line of createInterface(child.stdout)) {
      const [, url] = /^ *Orosync demo +(http:\S+)\/\r?$/.exec(line) ?? [];
      if (url !== undefined) {
        clearTimeout(limit);
        child.stdout.resume();
        return new Demo(child, directory, url);
      }
    }
    clearTimeout(limit);
    await rm(directory, { recursive: true });
    throw new Error(`The demo did not start: exit code ${child.exitCode}, signal ${child.signalCode}.`);
  }

  /** Runs `demo/bin/console`. @param {...string} args @returns {Promise<string>} what it printed */
  async console(...args) {
    const { stdout } = await promisify(execFile)(join(REPOSITORY, 'demo/bin/console'), args, {
      env: { ...process.env, DEMO_DIR: this.directory },
    });
    return stdout;
  }

  /** Publishes from outside, and waits until the server has acknowledged all of it. @param {string} topic @param {unknown[]} payloads */
  async publish(topic, payloads) {
    const run = promisify(execFile)(join(REPOSITORY, 'demo/bin/console'), ['orosync:publish', topic, '-'], {
      env: { ...process.env, DEMO_DIR: this.directory },
    });
    run.child.stdin?.end(payloads.map((payload) => `${JSON.stringify(payload)}\n`).join(''));
    await run;
  }

  /** @param {'server' | `server-${number}` | 'redis' | 'fpm' | 'worker' | 'nginx'} name with several nodes each is `server-` and its number */
  async pid(name) {
    return Number(await readFile(join(this.directory, `${name}.pid`), 'utf8'));
  }

  /** Servers, PHP-FPM, worker, NGINX and Redis lead a session each, with all that they start. @returns {Promise<Set<number>>} */
  async sessions() {
    const files = (await readdir(this.directory)).filter((name) => name.endsWith('.pid'));
    return new Set((await Promise.all(files.map((name) => readFile(join(this.directory, name), 'utf8')))).map(Number));
  }

  /** @param {NodeJS.Signals} signal @returns {Promise<number | null>} the exit code of `demo/bin/demo`; null: killed */
  async end(signal) {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const ended = once(this.#child, 'exit', { signal: AbortSignal.timeout(STOP_LIMIT_MS) });
      this.#child.kill(signal);
      await ended;
    }
    return this.#child.exitCode;
  }

  async stop() {
    await this.end('SIGTERM');
    await rm(this.directory, { recursive: true });
  }
}

export const newDirectory = () => mkdtemp(join(tmpdir(), 'orosync-demo-'));

/** Who lives in these sessions (field 6 of proc_pid_stat(5)). @param {Set<number>} sessions */
export async function processesOf(sessions) {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const living = await Promise.all(pids.map(async (pid) => {
    // A process may end between the two readings.
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
    const [state, , , session] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return sessions.has(Number(session)) && state !== 'Z' ? [Number(pid)] : [];
  }));
  return living.flat();
}

/** Whose environment names this directory of a demo: all that were started by it and write nothing over that. @param {string} directory */
export async function processesIn(directory) {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const living = await Promise.all(pids.map(async (pid) => {
    // One that ends has none any more, nor has one of somebody else for us.
    const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
    return environment.split('\0').includes(`DEMO_DIR=${directory}`) ? [Number(pid)] : [];
  }));
  return living.flat();
}
