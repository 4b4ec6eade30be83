/**
 * A real server for the tests: HTTP with a ticket endpoint, and WebSocket with as much WAMP v1 as a test needs.
 *
 * A test can replace each part with a faulty one. Requests and messages are kept in order; tests wait for them and never poll.
 */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';
import { Inbox } from './inbox.js';

/** Starts a server on a free port; stopped at the end of the test. */
export async function startServer(t) {
  const server = new TestServer();
  await server.listen();
  t.after(() => server.stop());
  return server;
}

class TestServer {
  /** Answers ticket requests; by default ticket-1, ticket-2, ... */
  answerTicket = (request, response) => {
    this.#ticketCount += 1;
    answerJson(response, { ticket: `ticket-${this.#ticketCount}` });
  };
  /** Answers other HTTP requests. */
  answerPage = (request, response) => response.writeHead(404).end();
  /** Answers `orosync/resume`, which `Session.messages` does not contain; by default as a server that does not know it. */
  answerResume = (session, callId) => session.send([4, callId, 'orosync/resume', 'no such procedure', { code: 404 }]);
  /** Selects the subprotocol. @type {(offered: string[]) => string} */
  chooseProtocol = ([first]) => first;
  /** HTTP status for the next upgrades; null: accept them. */
  refuseUpgrade = null;
  /** Whether to send WELCOME to new sessions. */
  greets = true;
  /** Sessions in order of arrival. @type {Inbox<Session>} */
  sessions = new Inbox('a session');
  /** Ticket requests in order of arrival. @type {Inbox<import('node:http').IncomingMessage>} */
  ticketRequests = new Inbox('a ticket request');
  upgradeUrls = [];

  #ticketCount = 0;
  #http = createServer((request, response) => this.#handle(request, response));
  #websocket = new WebSocketServer({ noServer: true, handleProtocols: (offered) => this.chooseProtocol([...offered]) });

  async listen() {
    this.#http.on('upgrade', (request, socket, head) => {
      this.upgradeUrls.push(request.url);
      if (this.refuseUpgrade !== null) {
        socket.end(`HTTP/1.1 ${this.refuseUpgrade} Refused\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
        return;
      }
      this.#websocket.handleUpgrade(request, socket, head, (webSocket) => {
        this.sessions.put(new Session(webSocket, request, this));
      });
    });
    await new Promise((resolve) => {
      this.#http.listen(0, '127.0.0.1', resolve);
    });
  }

  get origin() {
    return `http://127.0.0.1:${this.#http.address().port}`;
  }

  get url() {
    return `${this.origin.replace('http', 'ws')}/ws`;
  }

  get ticketUrl() {
    return `${this.origin}/sync/ticket`;
  }

  async stop() {
    this.#websocket.clients.forEach((webSocket) => webSocket.terminate());
    this.#http.closeAllConnections();
    await new Promise((resolve) => {
      this.#http.close(resolve);
    });
  }

  #handle(request, response) {
    if (request.url === '/sync/ticket') {
      this.answerTicket(request, response);
      this.ticketRequests.put(request);
    } else {
      this.answerPage(request, response);
    }
  }
}

/** One WebSocket connection, seen from the server. */
class Session {
  static #count = 0;

  /** Messages of the client, parsed, in order. @type {Inbox<unknown[]>} */
  messages = new Inbox('a message of the client');
  /** Calls of `orosync/resume`, in order. @type {Inbox<unknown[]>} */
  renewals = new Inbox('a call of orosync/resume');
  id = `session-${(Session.#count += 1)}`;

  constructor(webSocket, request, server) {
    this.webSocket = webSocket;
    this.protocol = webSocket.protocol;
    this.offered = request.headers['sec-websocket-protocol'];
    this.url = request.url;
    this.closed = new Promise((resolve) => {
      webSocket.on('close', resolve);
    });
    webSocket.on('message', (data) => {
      const message = JSON.parse(String(data));
      const [, callId, procedure] = message;
      if (procedure === 'orosync/resume') {
        server.answerResume(this, callId);
        this.renewals.put(message);
      } else {
        this.messages.put(message);
      }
    });
    if (server.greets) {
      this.send([0, this.id, 1, 'test']);
    }
  }

  send(message) {
    this.webSocket.send(JSON.stringify(message));
  }

  /** `position`: for subscriptions made with `orosync/subscribe`. */
  publish(topic, payload, ...position) {
    this.send([8, topic, payload, ...position]);
  }

  /** Takes the client's next message, which must be a call of this procedure. Returns its arguments and ways to answer it. */
  async called(procedure) {
    const [type, id, uri, ...args] = await this.messages.take();
    assert.deepEqual([type, uri], [2, procedure]);
    return {
      args,
      answer: (result = null) => this.send([3, id, result]),
      fail: (error, reason, code) => this.send([4, id, error, reason, { code }]),
    };
  }

  /** The same for `orosync/subscribe`. */
  async subscribed() {
    const { args, answer, fail } = await this.called('orosync/subscribe');
    const [topic, options] = args;
    return {
      topic,
      options,
      answer: (position, events = [], complete = true) => answer({ position, complete, events }),
      refuse: (reason) => fail(topic, reason, 401),
      fail: (code) => fail('orosync/subscribe', 'no', code),
    };
  }

  /** Closes with a Close frame. */
  close(code, reason = '') {
    this.webSocket.close(code, reason);
  }

  /** Closes without a Close frame. */
  drop() {
    this.webSocket.terminate();
  }
}

export function answerJson(response, body, status = 200) {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
}
