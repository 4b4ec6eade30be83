/**
 * The path between browsers and the demo, which a test makes silent: no byte arrives any more, and nothing says so.
 *
 * Owns a port and the connections through it; all are gone after `close()`.
 */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';

/** @typedef {{ near: import('node:net').Socket, far: import('node:net').Socket, isSilent: boolean }} Link */

export class Path {
  #server;
  /** @type {Set<Link>} */
  #links = new Set();

  /** @param {string} url of the demo */
  constructor(url) {
    const { hostname, port } = new URL(url);
    this.#server = createServer((near) => this.#accept(near, connect(Number(port), hostname)));
  }

  /** @param {string} url of the demo @returns {Promise<Path>} */
  static async open(url) {
    const path = new Path(url);
    path.#server.listen(0, '127.0.0.1');
    await once(path.#server, 'listening');
    return path;
  }

  get port() {
    return /** @type {import('node:net').AddressInfo} */ (this.#server.address()).port;
  }

  /** Drops all that the connections of now carry, their ends included. Later connections work. */
  goSilent() {
    for (const link of this.#links) {
      link.isSilent = true;
    }
  }

  close() {
    this.#links.forEach(({ near, far }) => [near, far].forEach((socket) => socket.destroy()));
    this.#server.close();
  }

  /** @param {import('node:net').Socket} near @param {import('node:net').Socket} far */
  #accept(near, far) {
    const link = { near, far, isSilent: false };
    this.#links.add(link);
    for (const [from, to] of [[near, far], [far, near]]) {
      from.on('data', (data) => link.isSilent || to.write(data));
      from.on('close', () => link.isSilent || to.destroy());
      // What ends so closes too.
      from.on('error', () => {});
    }
  }
}
