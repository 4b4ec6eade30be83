/**
 * A proxy between a browser and the demo that caches pages, or makes the browser cache them. Everything else passes unchanged.
 *
 * Owns a port until `close()`. WebSockets go directly to the demo, whose address is in its pages.
 */
import { once } from 'node:events';
import { createServer, request } from 'node:http';

export class Cache {
  #demo;
  #where;
  #server = createServer((visit, answer) => this.#pass(visit, answer));
  /** The first response for each path. @type {Map<string, string>} */
  #kept = new Map();

  /** @param {string} url of the demo @param {'proxy' | 'browser'} where pages are kept */
  constructor(url, where) {
    this.#demo = new URL(url);
    this.#where = where;
  }

  /** @param {string} url of the demo @param {'proxy' | 'browser'} where pages are kept @returns {Promise<Cache>} */
  static async start(url, where) {
    const cache = new Cache(url, where);
    cache.#server.listen(0, '127.0.0.1');
    await once(cache.#server, 'listening');
    return cache;
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
  #pass(visit, answer) {
    const path = visit.url ?? '';
    const kept = this.#kept.get(path);
    if (kept !== undefined) {
      answer.writeHead(200, { 'Content-Type': 'text/html; charset=UTF-8', 'Cache-Control': 'no-store' }).end(kept);
      return;
    }
    const { hostname, port } = this.#demo;
    const passed = request({ hostname, port, path, method: visit.method, headers: visit.headers });
    passed.on('response', async (response) => {
      const isKept = /^\/contacts\/\d+$/.test(path) && response.statusCode === 200;
      if (isKept && this.#where === 'proxy') {
        this.#kept.set(path, Buffer.concat(await response.toArray()).toString());
        answer.writeHead(200, { 'Content-Type': 'text/html; charset=UTF-8', 'Cache-Control': 'no-store' }).end(this.#kept.get(path));
        return;
      }
      const { 'cache-control': said = '', ...headers } = response.headers;
      answer.writeHead(response.statusCode ?? 502, { ...headers, 'cache-control': isKept ? 'private, max-age=600' : said });
      response.pipe(answer);
    });
    visit.pipe(passed);
  }
}
