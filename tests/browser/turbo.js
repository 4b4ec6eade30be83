/**
 * The demo with Turbo in each of its pages: a proxy before it adds what that needs, and passes on all else as it is.
 *
 * Owns a port; it is free again after `close()`. WebSockets go to the demo itself, as its pages say.
 */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, request } from 'node:http';

const TURBO = new URL('node_modules/@hotwired/turbo/dist/turbo.es2017-esm.js', import.meta.url);
/** A page that is loaded again is changed where it differs. */
const HEAD = '<meta name="turbo-refresh-method" content="morph"><script type="module" src="/turbo.js"></script>';

export class TurboDemo {
  #demo;
  #server = createServer((visit, answer) => this.#pass(visit, answer));

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

  close() {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  /** @param {import('node:http').IncomingMessage} visit @param {import('node:http').ServerResponse} answer */
  async #pass(visit, answer) {
    if (visit.url === '/turbo.js') {
      answer.writeHead(200, { 'Content-Type': 'text/javascript' }).end(await readFile(TURBO));
      return;
    }
    const { hostname, port } = this.#demo;
    const passed = request({ hostname, port, path: visit.url, method: visit.method, headers: visit.headers });
    passed.on('response', async (response) => {
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
