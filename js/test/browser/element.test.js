/**
 * `<orosync-page>` in a real browser: the age of a page's content, and the message if it is unknown. Needs Chromium at
 * /usr/bin/chromium (Debian: apt install chromium) or at the path in CHROMIUM.
 */
import assert from 'node:assert/strict';
import { createReadStream, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { chromium } from 'playwright-core';
import { answerJson, startServer } from '../support/server.js';

const TYPES = { '.js': 'text/javascript', '.css': 'text/css' };
const SOURCES = new URL('../../src/', import.meta.url).pathname;
const TOPIC = 'oro/data/update';
const HOUR = 3_600_000;

const CHANGED = 'Somebody else has changed this content.';
const UNCERTAIN = 'This page may be out of date.';

/** Tolerance for elapsed time in a test. */
const SLACK_MS = 5_000;

const CLIENT = { url: '/ws', ticketUrl: '/sync/ticket', userName: 'anna', userId: 1, role: 'user', organizationId: null };

/** The element of a page, as PHP renders it. */
const element = (attributes) =>
  `<orosync-page ${Object.entries({ client: CLIENT, tags: ['a'], ...attributes }).map(([name, value]) => `${name}='${JSON.stringify(value)}'`).join(' ')}></orosync-page>`;

const documentOf = (attributes, more = '') => `<!doctype html><html lang="en"><title>Test</title>
  <script>
    globalThis.reports = [];
    addEventListener('orosync-outdated', ({ detail }) => reports.push(detail));
  </script>${more}
  <script type="module" src="/orosync/page.js"></script>
  <body>${element(attributes)}</body>`;

let profile;
let context;

before(async () => {
  profile = mkdtempSync(join(tmpdir(), 'orosync-chromium-'));
  context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
  context.setDefaultTimeout(10_000);
});

after(async () => {
  await context?.close();
  rmSync(profile, { recursive: true, force: true });
});

/** A server whose pages a test sets by path, and whose ticket endpoint returns the server's time. */
async function startSite(t) {
  const server = await startServer(t);
  const site = { server, pages: {}, headers: {}, clock: () => Date.now() };
  server.answerTicket = (request, response) => answerJson(response, { ticket: 'ticket', now: site.clock() });
  server.answerPage = (request, response) => {
    const { pathname } = new URL(request.url, 'http://localhost');
    if (pathname.startsWith('/orosync/') && existsSync(SOURCES + pathname.slice(9))) {
      response.writeHead(200, { 'Content-Type': TYPES[extname(pathname)] });
      createReadStream(SOURCES + pathname.slice(9)).pipe(response);
    } else if (Object.hasOwn(site.pages, pathname)) {
      const type = TYPES[extname(pathname)] ?? 'text/html';
      response.writeHead(200, { 'Content-Type': type, ...site.headers }).end(site.pages[pathname]);
    } else {
      response.writeHead(404).end();
    }
  };
  site.open = async (path) => {
    const page = await context.newPage();
    t.after(() => page.close());
    await page.goto(server.origin + path);
    return page;
  };
  return site;
}

/** The next call for changes, of the next session or of this one; skips calls for other topics. */
async function askedBy(session) {
  for (;;) {
    const [type, id, procedure, topic, options] = await session.messages.take();
    if (type === 2 && procedure === 'orosync/subscribe' && topic === TOPIC) {
      return { options, answer: (position, events = [], complete = true) => session.send([3, id, { position, complete, events }]) };
    }
  }
}

const assertAge = ({ options }, milliseconds) => {
  const requested = options.since?.milliseconds;
  assert.ok(requested >= milliseconds && requested < milliseconds + SLACK_MS, `requested ${requested} ms instead of ${milliseconds}`);
};

/** Waits until the page has processed all messages of this session. */
async function processed(page, session) {
  const answered = page.evaluate(async () => {
    const { client } = await import('/orosync/page.js');
    await client.call('mark');
  });
  const [, id] = await session.messages.takeUntil(([, , procedure]) => procedure === 'mark');
  session.send([3, id, null]);
  await answered;
}

const reportsIn = (page) => page.evaluate(() => reports);
const changed = [{ username: 'ben', tagname: 'a' }];

describe('the content of a page', () => {
  it("has the age of its stamp, by PHP's clock alone", async (t) => {
    const site = await startSite(t);
    const start = 1_000_000; // far from the browser's clock
    site.clock = () => start + HOUR;
    site.pages['/'] = documentOf({ rendered: { at: start } });
    const page = await site.open('/');
    const call = await askedBy(await site.server.sessions.take());
    assertAge(call, HOUR);
    assert.deepEqual(call.options.tags, ['a']);
    call.answer('7', [['7', changed]]);
    await page.getByText(CHANGED).waitFor();
    assert.deepEqual(await reportsIn(page), [{ tags: ['a'], userNames: ['ben'], isCertain: true }]);
  });

  it('that is inserted later has the age of its own stamp', async (t) => {
    const site = await startSite(t);
    const start = 1_000_000;
    site.clock = () => start;
    site.pages['/'] = documentOf({ rendered: { at: start } });
    const page = await site.open('/');
    const session = await site.server.sessions.take();
    (await askedBy(session)).answer('5');
    await page.evaluate((html) => {
      document.body.innerHTML = html;
    }, element({ rendered: { at: start - 2 * HOUR }, tags: ['b'] }));
    const second = await askedBy(session);
    assertAge(second, 2 * HOUR);
    second.answer('5');
    // A page that is reloaded into the same elements.
    await page.evaluate((at) => document.querySelector('orosync-page').setAttribute('rendered', JSON.stringify({ at })), start - HOUR);
    assertAge(await askedBy(session), HOUR);
  });

  it('is never younger than its request when the clock of its stamp is ahead', async (t) => {
    const site = await startSite(t);
    const start = 1_000_000;
    site.clock = () => start;
    site.pages['/'] = documentOf({ rendered: { at: start + HOUR } });
    const page = await site.open('/');
    const session = await site.server.sessions.take();
    const first = await askedBy(session);
    assertAge(first, 1);
    first.answer('5');

    // An element that is inserted later, without a request that the browser knows of.
    const later = element({ rendered: { at: start + HOUR }, tags: ['b'] });
    const before = await page.evaluate(async (html) => {
      await new Promise((resolve) => setTimeout(resolve, 300));
      const now = performance.now();
      document.body.innerHTML = html;
      return now;
    }, later);
    const second = await askedBy(session);
    const age = second.options.since.milliseconds;
    assert.ok(age < -300 && age > -before - SLACK_MS, `${age} ms`);
  });

  it('is not certain when the answer is incomplete, until a certain change arrives', async (t) => {
    const site = await startSite(t);
    site.pages['/'] = documentOf({ rendered: { at: Date.now() } });
    const page = await site.open('/');
    const session = await site.server.sessions.take();
    (await askedBy(session)).answer('5', [], false);
    await page.getByText(UNCERTAIN).waitFor();
    session.publish(TOPIC, changed, '6');
    await page.getByText(CHANGED).waitFor();
    assert.equal(await page.getByText(UNCERTAIN).count(), 0);
    assert.deepEqual((await reportsIn(page)).map(({ isCertain }) => isCertain), [false, true]);
  });

  it('removes its uncertain message when the application shows the certain one itself', async (t) => {
    const site = await startSite(t);
    site.pages['/'] = documentOf({ rendered: { at: Date.now() } }, `<script>
      addEventListener('orosync-outdated', (event) => event.detail.isCertain && event.preventDefault());
    </script>`);
    const page = await site.open('/');
    const session = await site.server.sessions.take();
    (await askedBy(session)).answer('5', [], false);
    await page.getByText(UNCERTAIN).waitFor();
    session.publish(TOPIC, changed, '6');
    await page.getByText(UNCERTAIN).waitFor({ state: 'detached' });
    assert.equal(await page.getByText(CHANGED).count(), 0);
  });

  it('without a stamp has the age of its document', async (t) => {
    const site = await startSite(t);
    site.pages['/'] = documentOf({});
    const page = await site.open('/');
    const call = await askedBy(await site.server.sessions.take());
    assertAge(call, 1);
    assert.ok(call.options.since.milliseconds <= await page.evaluate(() => performance.now()));
    assert.deepEqual(await reportsIn(page), []);
  });

  it("with a stamp, but without PHP's time from the ticket endpoint, has the age of its document", async (t) => {
    const site = await startSite(t);
    site.server.answerTicket = (request, response) => answerJson(response, { ticket: 'ticket' });
    site.pages['/'] = documentOf({ rendered: { at: 1 } });
    await site.open('/');
    assertAge(await askedBy(await site.server.sessions.take()), 1);
  });

  it('without a stamp from a cache is not certain at once', async (t) => {
    const site = await startSite(t);
    site.headers = { 'Cache-Control': 'max-age=3600' };
    site.pages['/'] = documentOf({});
    const first = await site.open('/');
    await site.server.sessions.take();
    await first.close();
    const second = await site.open('/');
    await second.getByText(UNCERTAIN).waitFor();
    const { options } = await askedBy(await site.server.sessions.take());
    assert.deepEqual(options, { tags: ['a'] });
    assert.deepEqual(await reportsIn(second), [{ tags: [], userNames: [], isCertain: false }]);
  });

  it('without a stamp from a service worker is not certain at once', async (t) => {
    const site = await startSite(t);
    site.pages['/worker.js'] = 'onfetch = (event) => event.respondWith(fetch(event.request)); onactivate = () => clients.claim();';
    site.pages['/install'] = '<!doctype html><title>Install</title>';
    site.pages['/'] = documentOf({});
    const page = await site.open('/install');
    await page.evaluate(async () => {
      await navigator.serviceWorker.register('/worker.js');
      await navigator.serviceWorker.ready;
    });
    await page.goto(`${site.server.origin}/`);
    await page.getByText(UNCERTAIN).waitFor();
  });

  it('without a stamp that Turbo inserts has the age of its request', async (t) => {
    const site = await startSite(t);
    site.pages['/'] = documentOf({});
    const page = await site.open('/');
    const session = await site.server.sessions.take();
    (await askedBy(session)).answer('5');
    await page.waitForTimeout(300);
    const times = await page.evaluate(async (html) => {
      const before = performance.now();
      document.dispatchEvent(new Event('turbo:before-fetch-request'));
      await new Promise((resolve) => setTimeout(resolve, 300));
      document.body.innerHTML = html;
      return { before };
    }, element({ tags: ['b'] }));
    const { options } = await askedBy(session);
    const opened = times.before + options.since.milliseconds;
    assert.ok(opened > 0 && opened < times.before - 200, `the session was opened at ${opened} ms, the page was requested at ${times.before} ms`);
  });

  it("without a stamp ignores Turbo's requests for frames and prefetches", async (t) => {
    const site = await startSite(t);
    site.pages['/'] = documentOf({});
    const page = await site.open('/');
    const session = await site.server.sessions.take();
    (await askedBy(session)).answer('5');
    const requested = await page.evaluate(async (html) => {
      const pause = () => new Promise((resolve) => setTimeout(resolve, 200));
      const request = (target, headers) =>
        target.dispatchEvent(new CustomEvent('turbo:before-fetch-request', { bubbles: true, detail: { fetchOptions: { headers } } }));
      await pause();
      const before = performance.now();
      request(document, { Accept: 'text/html' });
      await pause();
      const frame = document.createElement('turbo-frame');
      document.body.append(frame);
      request(frame, {});
      request(document, { 'X-Sec-Purpose': 'prefetch' });
      request(document, new Headers({ 'Sec-Purpose': 'prefetch;prerender' }));
      document.body.innerHTML = html;
      return before;
    }, element({ tags: ['b'] }));
    const { options } = await askedBy(session);
    const opened = requested + options.since.milliseconds;
    assert.ok(opened > 0 && opened < requested - 150, `the session was opened at ${opened} ms, the page was requested at ${requested} ms`);
  });

  it('that Turbo restores keeps its state; if forgotten, it has the age of its stamp or is not certain', async (t) => {
    const site = await startSite(t);
    site.pages['/'] = documentOf({});
    const page = await site.open('/');
    const session = await site.server.sessions.take();
    (await askedBy(session)).answer('5');
    await page.evaluate((html) => {
      globalThis.snapshot = document.body.cloneNode(true);
      document.body.innerHTML = html;
    }, element({ tags: ['b'] }));
    (await askedBy(session)).answer('5');
    session.publish(TOPIC, changed, '6');
    await processed(page, session);
    await page.evaluate(() => {
      document.body.replaceWith(snapshot);
    });
    await page.getByText(CHANGED).waitFor();
    assert.deepEqual((await reportsIn(page)).map(({ isCertain }) => isCertain), [true]);

    await page.evaluate(() => {
      const forgotten = document.querySelector('orosync-page').cloneNode(true);
      forgotten.setAttribute('data-orosync-content', 'unknown');
      document.querySelector('.orosync-flashes').remove();
      document.querySelector('orosync-page').replaceWith(forgotten);
    });
    await page.getByText(UNCERTAIN).waitFor();
  });
});

describe('a page from the back/forward cache', () => {
  it('reconnects at once by position even if its socket looks open', async (t) => {
    const site = await startSite(t);
    site.pages['/'] = documentOf({ rendered: { at: Date.now() } });
    const page = await site.open('/');
    const session = await site.server.sessions.take();
    (await askedBy(session)).answer('5');
    await processed(page, session);
    await page.evaluate(() => dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true })));
    const { options } = await askedBy(await site.server.sessions.take());
    assert.deepEqual(options, { since: '5', tags: ['a'] });
  });
});
