// Checks in Chromium, with Oro's real JavaScript: browser.js pages VERSION | browser.js logout VERSION ADDRESS
//
// "pages" serves Oro's templates itself, with its own server; "logout" visits the pages of an application. Prints a line of JSON for
// each check: [check, version, result, evidence]. Environment: WORK, directory for its files; BUNDLES, Oro's src/Oro/Bundle; TWIG, a
// checkout of Twig; SERVER, orosync-server.

import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { chromium } from 'playwright-core';

const { WORK = '', BUNDLES = '', TWIG = '', SERVER = '' } = process.env;
const [mode, version, address] = process.argv.slice(2);

/** Time limit for immediate reactions, in milliseconds. */
const SOON = 10_000;
/** Time limit for a page that retries every two seconds, in milliseconds. */
const RECONNECT = 30_000;
const TAG = 'Oro_Bundle_ContactBundle_Entity_Contact_7';

const report = (/** @type {string} */ check, /** @type {unknown} */ holds, /** @type {unknown} */ evidence = '') =>
    console.log(JSON.stringify([check, version, Boolean(holds), typeof evidence === 'string' ? evidence : JSON.stringify(evidence)]));

/** Waits for a condition. Returns false on timeout. @type {(condition: () => unknown, limit?: number) => Promise<boolean>} */
const until = async (condition, limit = SOON) => {
    for (const end = Date.now() + limit; Date.now() < end;) {
        if (await condition()) {
            return true;
        }
        await new Promise((wake) => setTimeout(wake, 50));
    }
    return false;
};

/** Ports that are free at this moment. They are held until the last is chosen: none is chosen twice. @param {number} count */
const freePorts = async (count) => {
    const listeners = Array.from({ length: count }, () => net.createServer().listen(0, '127.0.0.1'));
    await Promise.all(listeners.map((listener) => once(listener, 'listening')));
    const ports = listeners.map((listener) => /** @type {import('node:net').AddressInfo} */ (listener.address()).port);
    await Promise.all(listeners.map((listener) => once(listener.close(), 'close')));
    return ports;
};

/** A page in its own browser context, with the frames of its WebSockets and the errors of its scripts. */
class Page {
    /** Frames with their kind: "<" received, ">" sent, "!" closed. @type {[string, string][]} */
    seen = [];
    /** @type {string[]} */
    errors = [];

    /** @param {import('playwright-core').Page} page */
    constructor(page) {
        this.page = page;
    }

    /** @param {import('playwright-core').Browser} browser @param {string} url */
    static async open(browser, url) {
        const context = await browser.newContext();
        const opened = new Page(await context.newPage());
        const protocol = await context.newCDPSession(opened.page);
        opened.page.on('pageerror', (error) => opened.errors.push(String(error)));
        protocol.on('Network.webSocketFrameSent', (event) => opened.seen.push(['>', event.response.payloadData]));
        protocol.on('Network.webSocketFrameReceived', (event) => {
            const { opcode, payloadData } = event.response;
            opened.seen.push(['<', opcode === 8 ? `Close ${Buffer.from(payloadData, 'base64').readUInt16BE(0)}` : payloadData]);
        });
        protocol.on('Network.webSocketClosed', () => opened.seen.push(['!', 'closed']));
        await protocol.send('Network.enable');
        await opened.page.goto(url);
        return opened;
    }

    /** Number of its sessions. */
    welcomes() {
        return this.seen.filter(([way, text]) => way === '<' && text.startsWith('[0,')).length;
    }

    /** How often it subscribed to a topic. @param {string} topic */
    subscribed(topic) {
        return this.seen.filter(([way, text]) => way === '>' && text === JSON.stringify([5, topic])).length;
    }

    /** How many subscriptions were refused, from a frame on. @param {number} from */
    refused(from) {
        return this.seen.slice(from).filter(([way, text]) => way === '<' && text.startsWith('[4,')).length;
    }

    /** The texts of the notices that it shows. @returns {Promise<string[]>} */
    notices() {
        return this.page.evaluate('Oro.$(".alert").map((i, e) => Oro.$(e).text().replace(/\\s+/g, " ").trim()).get()');
    }

    /**
     * Waits until the server has processed its subscriptions: until the refusal of a further one. A frame that the browser reports
     * may not have been sent yet.
     */
    async settle() {
        const from = this.seen.length;
        await this.page.evaluate(`Oro.sync.subscribe('no/such/topic/${from}', () => {})`);
        await until(() => this.refused(from));
    }

    async clear() {
        await this.page.evaluate('void Oro.$(".alert").remove()');
    }
}

/** An orosync-server with its secret. */
class Server {
    #directory = path.join(WORK, 'run', `js-${version}`);
    #secret = path.join(this.#directory, 'secret');
    /** @type {import('node:child_process').ChildProcess | undefined} */
    #process;

    /** @param {number} port @param {number} adminPort */
    constructor(port, adminPort) {
        this.port = port;
        this.adminPort = adminPort;
        fs.rmSync(this.#directory, { recursive: true, force: true });
        fs.mkdirSync(this.#directory, { recursive: true });
        fs.writeFileSync(this.#secret, randomBytes(32).toString('hex'), { mode: 0o600 });
    }

    /** Starts the server and waits until it listens. */
    async start() {
        const log = fs.openSync(path.join(this.#directory, 'server.log'), 'a');
        const bind = ['--bind', `127.0.0.1:${this.port}`, '--admin-bind', `127.0.0.1:${this.adminPort}`];
        this.#process = spawn(SERVER, ['serve', ...bind, '--secret-file', this.#secret], { stdio: ['ignore', log, log] });
        fs.closeSync(log);
        await until(() => new Promise((answer) => {
            const socket = net.connect(this.port, '127.0.0.1', () => answer(socket.destroy()));
            socket.on('error', () => answer(false));
        }));
    }

    /** @param {NodeJS.Signals} signal */
    async stop(signal) {
        if (this.#process && this.#process.exitCode === null && this.#process.signalCode === null) {
            this.#process.kill(signal);
            await once(this.#process, 'exit');
        }
    }

    /** @param {string} topic @param {unknown} payload */
    publish(topic, payload) {
        execFileSync(SERVER, ['publish', '--secret-file', this.#secret, '--endpoint', `ws://127.0.0.1:${this.port}/`, topic,
            JSON.stringify(payload)]);
    }

    /** A ticket of user 1, admin, of organization 1. */
    ticket() {
        return execFileSync(SERVER, ['ticket', '--secret-file', this.#secret, '--role', 'user', '--user', 'admin', '--uid', '1', '--org', '1'])
            .toString().trim();
    }
}

/** Serves a page of Oro's own templates, its script and tickets. @param {Server} server @param {number} port */
const serve = (server, port) => {
    const parameters = JSON.stringify({ user: 'admin', uid: 1, port: server.port });
    const templates = execFileSync('php', [path.join(import.meta.dirname, 'render.php'), TWIG, BUNDLES, parameters]).toString();
    const html = fs.readFileSync(path.join(import.meta.dirname, 'page.html'), 'utf8')
        + templates.replace(/retryDelay: \d+/, 'retryDelay: 2000');
    /** @type {Record<string, () => [string, string | Buffer]>} */
    const answers = {
        '/page': () => ['text/html', html],
        '/oro.js': () => ['text/javascript', fs.readFileSync(path.join(WORK, `js/oro-${version}.js`))],
        '/sync/ticket': () => ['application/json', JSON.stringify({ ticket: server.ticket() })],
    };
    return http.createServer((request, response) => {
        const answer = answers[new URL(request.url ?? '', 'http://127.0.0.1').pathname];
        const [type, body] = answer?.() ?? ['text/plain', 'not found'];
        response.writeHead(answer ? 200 : 404, { 'Content-Type': type });
        response.end(body);
    }).listen(port, '127.0.0.1');
};

/** One user in two browsers, who logs out in one: the other reconnects. @param {import('playwright-core').Browser} browser */
const logout = async (browser) => {
    const check = 'the other browser reconnects';
    const one = await Page.open(browser, `${address}/page?user=bob`);
    const other = await Page.open(browser, `${address}/page?user=bob`);
    if (!await until(() => one.welcomes() && other.welcomes())) {
        return report(check, false, `no session to begin with; ${[...one.errors, ...other.errors].join('; ')}`);
    }
    if (!(await other.page.content()).includes('retryDelay: 2000')) {
        return report(check, false, 'the page does not retry every two seconds: Oro\'s template has changed');
    }
    const from = other.seen.length;
    await one.page.goto(`${address}/logout`);
    const back = await until(() => other.welcomes() > 1, RECONNECT);
    const status = await other.page.evaluate("fetch('/sync/ticket', { method: 'POST' }).then(answer => answer.status)");
    report(check, back && status === 200,
        [...other.seen.slice(from).map((frame) => frame.join(' ').slice(0, 60)), `its next ticket: HTTP ${status}`].join('; '));
};

/** A change of the page's tag by another user is reported; the user's own change and other tags are not. */
const outdatedContent = async (/** @type {Page} */ page, /** @type {Server} */ server) => {
    await page.page.evaluate(`Oro.contentManager.tagContent(['${TAG}'])`);
    await until(() => page.subscribed('oro/data/update'));
    await page.settle();
    await page.clear();
    server.publish('oro/data/update', [{ username: 'bob', tagname: TAG }]);
    const shown = await until(async () => (await page.notices()).length === 1);
    const first = await page.notices();
    await page.clear();
    const received = page.seen.length;
    server.publish('oro/data/update', [{ username: 'admin', tagname: TAG }, { username: 'bob', tagname: 'other' }]);
    await until(() => page.seen.length > received);
    const holds = shown && !(await page.notices()).length;
    report('JavaScript: outdated content is reported', holds, holds ? "somebody else's change alone" : [first, await page.notices()]);
};

const maintenance = async (/** @type {Page} */ page, /** @type {Server} */ server) => {
    const modals = () => page.page.evaluate('Oro.$(".oro-modal-maintenance:visible").length');
    server.publish('oro/maintenance', { isOn: true, userId: 2 });
    const opened = await until(async () => await modals() === 1);
    server.publish('oro/maintenance', { isOn: false, userId: 2 });
    report('JavaScript: the maintenance modal', opened && await until(async () => await modals() === 0), 'opens and closes');
};

/** Oro's own components show the messages of each topic. */
const notices = async (/** @type {Page} */ page, /** @type {Server} */ server) => {
    const mailbox = { username: 'x@y', host: 'imap.y' };
    const reminder = { templateId: 'default', subject: 'Call Bob', url: '/', id: 1, uniqueId: 'a', expireAt: 'x' };
    /** @type {[string, unknown, string][]} */
    const expected = [
        ['oro/imap_sync_fail/1', mailbox, 'user_box_failed'],
        ['oro/imap_sync_fail/*', mailbox, 'system_box_failed'],
        ['oro/message_queue_heartbeat', '', 'no_alive_consumers'],
        ['oro/outdated_user_page', { role: 'ROLE_MANAGER' }, 'content_outdated'],
        ['oro/attribute_import/1/5', { finished: true }, 'import_has_finished'],
        ['oro/reminder_remind/1', [reminder], 'REMINDER Call Bob'],
    ];
    await page.page.evaluate('startComponents()');
    await until(() => page.subscribed('oro/reminder_remind/1') && page.subscribed('oro/attribute_import/1/5'));
    await page.settle();
    const missed = [];
    for (const [topic, payload, text] of expected) {
        await page.clear();
        server.publish(topic, payload);
        if (!await until(async () => (await page.notices()).some((notice) => notice.includes(text)))) {
            missed.push([topic, await page.notices()]);
        }
    }
    server.publish('oro/email_event/1/1', { hasNewEmail: true });
    if (!await until(() => page.page.evaluate('Oro.$("#newmail").is(":visible")'))) {
        missed.push('oro/email_event/1/1');
    }
    report("JavaScript: Oro's components show their messages", !missed.length, missed.length ? missed : 'of seven topics');
};

const foreignTopics = async (/** @type {Page} */ page) => {
    const topics = ['oro/email_event/2/1', 'oro/attribute_import/2/5', 'oro/reminder_remind/2', 'oro/imap_sync_fail/2', 'no/such/topic'];
    const from = page.seen.length;
    await page.page.evaluate(`${JSON.stringify(topics)}.forEach(topic => Oro.sync.subscribe(topic, () => {}))`);
    const refused = await until(() => page.refused(from) === topics.length);
    const undisturbed = !page.errors.length && !page.seen.some(([way]) => way === '!');
    report("JavaScript: topics of other users are refused", refused && undisturbed, `${page.refused(from)} of ${topics.length}; errors: ${page.errors.length}`);
};

const restarts = async (/** @type {Page} */ page, /** @type {Server} */ server) => {
    for (const signal of /** @type {const} */ (['SIGTERM', 'SIGKILL'])) {
        const before = page.subscribed('oro/data/update');
        await server.stop(signal);
        await server.start();
        report(`JavaScript: reconnects after ${signal}`, await until(() => page.subscribed('oro/data/update') > before, RECONNECT), 'subscribed again');
    }
};

/** Oro's own templates and components with the server. @param {import('playwright-core').Browser} browser */
const pages = async (browser) => {
    const [port, serverPort, adminPort] = await freePorts(3);
    const server = new Server(serverPort, adminPort);
    const web = serve(server, port);
    await server.start();
    try {
        const page = await Page.open(browser, `http://127.0.0.1:${port}/page`);
        report('JavaScript: a session with its subscriptions', await until(() => page.welcomes() === 1 && page.subscribed('oro/maintenance') === 1),
            page.errors.join('; '));
        await outdatedContent(page, server);
        await maintenance(page, server);
        await notices(page, server);
        await foreignTopics(page);
        await restarts(page, server);
    } finally {
        await server.stop('SIGKILL');
        web.closeAllConnections();
        web.close();
    }
};

const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
});
try {
    await (mode === 'pages' ? pages(browser) : logout(browser));
} finally {
    await browser.close();
}
