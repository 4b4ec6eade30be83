/**
 * A new Symfony application, built as in the documentation: the skeleton of the bundle's tests with a test's own files, PHP's
 * built-in web server, and `bin/console orosync:server`. The header `X-User` contains the user of a request.
 *
 * Owns the directory and both processes until `stop()`. Bound: 60 seconds to start.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

const REPOSITORY = join(import.meta.dirname, '../..');
const TESTS = join(REPOSITORY, 'php-tests/bundle');
const SERVER = process.env.OROSYNC_SERVER_BIN ?? join(REPOSITORY, 'target/release/orosync-server');
const EXTENSION = process.env.OROSYNC_EXTENSION ?? join(REPOSITORY, 'target/release/liborosync.so');
const START_LIMIT_MS = 60_000;

/** Output of the two servers when they are ready. */
const READY = /Development Server .* started|is ready/;

const BUNDLES = `<?php

return [
    Symfony\\Bundle\\FrameworkBundle\\FrameworkBundle::class => ['all' => true],
    Symfony\\Bundle\\SecurityBundle\\SecurityBundle::class => ['all' => true],
    Symfony\\Bundle\\TwigBundle\\TwigBundle::class => ['all' => true],
    Orosync\\OrosyncBundle::class => ['all' => true],
];
`;

const SECURITY = `
security:
    enable_authenticator_manager: true
    providers: {users: {id: users}}
    firewalls: {main: {stateless: true, remote_user: {provider: users, user: HTTP_X_USER}}}
services:
    users: {class: Orosync\\Tests\\Application\\UserProvider}
`;

export class FreshApplication {
  /** @type {import('node:child_process').ChildProcess[]} */
  #running = [];
  #directory;

  /** @param {string} directory @param {string} url */
  constructor(directory, url) {
    this.#directory = directory;
    this.url = url;
  }

  /**
   * Starts the application and waits until it is ready.
   *
   * @param {Record<string, string>} files of the application, by their paths
   * @returns {Promise<FreshApplication>}
   */
  static async start(files) {
    const directory = await mkdtemp(join(tmpdir(), 'orosync-fresh-'));
    const [port, webPort] = await freePorts(2);
    const application = new FreshApplication(directory, `http://127.0.0.1:${webPort}`);
    try {
      await cp(join(TESTS, 'FreshApplication/skeleton'), directory, { recursive: true });
      await application.#write({
        'config/bundles.php': BUNDLES,
        'config/packages/security.yaml': SECURITY,
        'config/packages/orosync_ports.yaml': `
orosync: {backend: '//*:${port}', frontend: '//*:${port}/ws', server: {bind: '//127.0.0.1:${port}', binary: '${SERVER}'}}
`,
        'config/routes/orosync.yaml': "orosync: {resource: '@OrosyncLiveBundle/config/routes.php'}",
        ...files,
      });
      await promisify(execFile)('php', application.#php('bin/console', 'assets:install'), application.#options());
      await application.#run('bin/console', 'orosync:server');
      await application.#run('-S', `127.0.0.1:${webPort}`, '-t', 'public', 'public/index.php');
    } catch (failure) {
      await application.stop();
      throw failure;
    }
    return application;
  }

  async stop() {
    for (const child of this.#running) {
      if (child.exitCode === null && child.signalCode === null) {
        const ended = once(child, 'exit');
        killGroup(child);
        await ended;
      }
    }
    await rm(this.#directory, { recursive: true });
  }

  /** @param {...string} args */
  async #run(...args) {
    const child = spawn('php', this.#php(...args), { ...this.#options(), stdio: ['ignore', 'ignore', 'pipe'], detached: true });
    this.#running.push(child);
    const limit = setTimeout(() => killGroup(child), START_LIMIT_MS);
    let said = '';
    for await (const line of createInterface(child.stderr)) {
      said += `${line}\n`;
      if (READY.test(line)) {
        clearTimeout(limit);
        child.stderr.resume();
        return;
      }
    }
    clearTimeout(limit);
    throw new Error(`php ${args.join(' ')} did not start:\n${said}`);
  }

  /** @param {...string} args */
  #php(...args) {
    return ['-d', `extension=${EXTENSION}`, ...args];
  }

  #options() {
    return {
      cwd: this.#directory,
      env: {
        ...process.env,
        APP_ENV: 'dev',
        OROSYNC_TEST_BOOTSTRAP: join(TESTS, 'bootstrap.php'),
        BUNDLE_TEST_DIRECTORY: this.#directory,
        OROSYNC_ADMIN_BIND: '127.0.0.1:0',
        // A page requests its modules while it holds a connection.
        PHP_CLI_SERVER_WORKERS: '4',
      },
    };
  }

  /** @param {Record<string, string>} files */
  async #write(files) {
    for (const [path, content] of Object.entries(files)) {
      const file = join(this.#directory, path);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, content);
    }
  }
}

/** Stops a process group: the workers of PHP's web server outlive it. @param {import('node:child_process').ChildProcess} child */
const killGroup = (child) => process.kill(-Number(child.pid), 'SIGTERM');

/**
 * The only code block of a document that contains these words.
 *
 * @param {string} document @param {string} words
 * @returns {Promise<string>}
 */
export async function exampleOf(document, words) {
  const text = await readFile(join(REPOSITORY, document), 'utf8');
  const blocks = [...text.matchAll(/^```\w[^\n]*\n(.*?)^```$/gms)].map(([, block]) => block).filter((block) => block.includes(words));
  if (blocks.length !== 1) {
    throw new Error(`${document} has ${blocks.length} examples with "${words}"`);
  }
  return blocks[0];
}

/** Free ports. They are held until the last one is chosen. @param {number} count */
async function freePorts(count) {
  const servers = await Promise.all(Array.from({ length: count }, async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return server;
  }));
  return servers.map((server) => {
    const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
    server.close();
    return port;
  });
}
