/**
 * The demo with Turbo: a proxy adds Turbo and a recorder (`witness.js`) to each page. Everything else passes unchanged.
 *
 * Owns a port until `close()`. WebSockets go directly to the demo, whose address is in its pages.
 */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, request } from 'node:http';

/** Paths that the proxy answers itself. */
const SCRIPTS = new Map([
  ['/turbo.js', new URL('node_modules/@hotwired/turbo/dist/turbo.es2017-esm.js', import.meta.url)],
  ['/witness.js', new URL('witness.js', import.meta.url)],
]);
/** Makes Turbo morph a page that is visited again. */
const HEAD = '<script src="/witness.js"></script><meta name="turbo-refresh-method" content="morph"><script type="module" src="/turbo.js"></script>';

export class TurboDemo {
  #demo;
  #server = createServer((visit, answer) => this.#pass(visit, answer));
  /** Responses to POST requests, in order. @type {{ path: string, status: number | undefined }[]} */
  posted = [];
  /** Delays requests of a path until the promise resolves. @type {Map<string, Promise<void>>} */
  #held = new Map();

  /** @param {string} url of the demo */
  constructor(url) {
    this.#demo = new URL(url);
  }

  /** @param {string} url of the demo @returns {Promise<TurboDemo>} */
  static async start(url) {
    const turbo = new TurboDemo(url);
    turbo.#server.listen(0, '127.0.0.1');
    await once(turbo.#server, 'listening');
    return turbo;
  }

  get url() {
    const { port } = /** @type {import('node:net').AddressInfo} */ (this.#server.address());
    return `http://127.0.0.1:${port}`;
  }

  /** Delays the response of a path. @param {string} path @returns {() => void} ends the delay */
  hold(path) {
    /** @type {() => void} */
    let release = () => {};
    this.#held.set(path, new Promise((resolve) => {
      release = resolve;
    }));
    return () => {
      this.#held.delete(path);
      release();
    };
  }

  close() {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  /** @param {import('node:http').IncomingMessage} visit @param {import('node:http').ServerResponse} answer */
  async #pass(visit, answer) {
    const path = visit.url ?? '';
    const script = SCRIPTS.get(path);
    if (script !== undefined) {
      answer.writeHead(200, { 'Content-Type': 'text/javascript' }).end(await readFile(script));
      return;
    }
    await this.#held.get(path);
    const { hostname, port } = this.#demo;
    const passed = request({ hostname, port, path, method: visit.method, headers: visit.headers });
    passed.on('response', async (response) => {
      if (visit.method === 'POST') {
        this.posted.push({ path, status: response.statusCode });
      }
      const { 'content-length': _, ...headers } = response.headers;
      answer.writeHead(response.statusCode ?? 502, headers);
      if (headers['content-type']?.startsWith('text/html')) {
        const page = Buffer.concat(await response.toArray()).toString();
        answer.end(page.replace('</head>', `${HEAD}</head>`));
      } else {
        response.pipe(answer);
      }
    });
    visit.pipe(passed);
  }
}
