/**
 * The network path between browsers and the demo. A test can drop all data silently, or delay one request or its answer.
 *
 * Owns a port and its connections until `close()`.
 */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';

import { Gate } from './gate.js';

/** @typedef {import('node:net').Socket} Socket */
/** @typedef {{ near: Socket, far: Socket, isSilent: boolean, answers: Gate | null }} Link `answers`: gate for its answers */

export class Path {
  #server;
  /** @type {Set<Link>} */
  #links = new Set();
  /** The first request with this beginning is delayed. @type {{ begin: string, part: 'request' | 'answer', gate: Gate } | null} */
  #hold = null;

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

  /** Drops all data of the present connections, including FIN. Later connections work. */
  goSilent() {
    for (const link of this.#links) {
      link.isSilent = true;
    }
  }

  /** Delays the next request with this beginning, or its answer. @param {string} begin of its head @param {'request' | 'answer'} part */
  hold(begin, part) {
    const gate = new Gate();
    this.#hold = { begin, part, gate };
    return gate;
  }

  close() {
    this.#links.forEach(({ near, far }) => [near, far].forEach((socket) => socket.destroy()));
    this.#server.close();
  }

  /** @param {Socket} near @param {Socket} far */
  #accept(near, far) {
    /** @type {Link} */
    const link = { near, far, isSilent: false, answers: null };
    this.#links.add(link);
    for (const [from, to] of [[near, far], [far, near]]) {
      this.#carry(link, from, to);
      from.on('close', () => link.isSilent || to.destroy());
      // The close event follows.
      from.on('error', () => {});
    }
  }

  /** @param {Link} link @param {Socket} from @param {Socket} to */
  async #carry(link, from, to) {
    try {
      for await (const data of from) {
        await (from === link.near ? this.#requested(link, data) : link.answers?.pass());
        link.isSilent || to.write(data);
      }
    } catch {
      // The close event follows.
    }
  }

  /** @param {Link} link @param {Buffer} data */
  async #requested(link, data) {
    if (this.#hold === null || !data.toString('latin1').startsWith(this.#hold.begin)) {
      return;
    }
    const { part, gate } = this.#hold;
    this.#hold = null;
    if (part === 'answer') {
      link.answers = gate;
    } else {
      await gate.pass();
    }
  }
}
