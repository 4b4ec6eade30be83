/**
 * The demo as a process: `demo/bin/demo` in its own directory, on free ports.
 *
 * Owns the directory and the process until `stop()`. Bound: 60 seconds to start, 20 to stop.
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

  /** Starts the demo and waits until it is ready. @param {...string} args of `demo/bin/demo` @returns {Promise<Demo>} */
  static async start(...args) {
    return Demo.startIn(await newDirectory(), ...args);
  }

  /**
   * The same with environment variables for the demo and `orosync-server`.
   *
   * @param {Record<string, string>} environment @returns {Promise<Demo>}
   */
  static async startWith(environment) {
    return Demo.#run(await newDirectory(), 'demo/bin/demo', [], environment);
  }

  /** The same in an existing directory. @param {string} directory @param {...string} args @returns {Promise<Demo>} */
  static startIn(directory, ...args) {
    return Demo.#run(directory, 'demo/bin/demo', args);
  }

  /**
   * The same in a terminal, which closes when `end` kills its process. The session leader survives that and waits, as make
   * does.
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

  /** Publishes with the server's command, and waits for the acknowledgements. @param {string} topic @param {unknown[]} payloads */
  async publish(topic, payloads) {
    const run = promisify(execFile)(join(REPOSITORY, 'demo/bin/console'), ['orosync:publish', topic, '-'], {
      env: { ...process.env, DEMO_DIR: this.directory },
    });
    run.child.stdin?.end(payloads.map((payload) => `${JSON.stringify(payload)}\n`).join(''));
    await run;
  }

  /** @param {'server' | `server-${number}` | 'redis' | 'fpm' | 'worker' | 'nginx'} name with several nodes: `server-` and a number */
  async pid(name) {
    return Number(await readFile(join(this.directory, `${name}.pid`), 'utf8'));
  }

  /** Session ids of servers, PHP-FPM, worker, NGINX and Redis; each is a session leader. @returns {Promise<Set<number>>} */
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

/** Processes in these sessions (field 6 of proc_pid_stat(5)). @param {Set<number>} sessions */
export async function processesOf(sessions) {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const living = await Promise.all(pids.map(async (pid) => {
    // The process ended after it was listed.
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
    const [state, , , session] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return sessions.has(Number(session)) && state !== 'Z' ? [Number(pid)] : [];
  }));
  return living.flat();
}

/** Processes whose environment contains this directory: those that the demo started. @param {string} directory */
export async function processesIn(directory) {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const living = await Promise.all(pids.map(async (pid) => {
    // Not readable for an ending process or another user's process.
    const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
    return environment.split('\0').includes(`DEMO_DIR=${directory}`) ? [Number(pid)] : [];
  }));
  return living.flat();
}
