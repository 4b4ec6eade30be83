/**
 * The client with a browser's own WebSocket, page life cycle and DOM. Needs Chromium at /usr/bin/chromium (Debian: apt install
 * chromium) or at the path in CHROMIUM.
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

/** Includes the client as the demo does: stylesheet, module, exactly these four names. The CSP allows only this inline script. */
const PAGE = `<!doctype html><html lang="en"><title>Test</title>
  <link rel="stylesheet" href="/orosync/flash.css">
  <input id="field" value="typed">
  <script type="module" nonce="page">
    import { OrosyncClient, ContentTracker, Maintenance, showFlash } from '/orosync/index.js';
    Object.assign(globalThis, { OrosyncClient, ContentTracker, Maintenance, showFlash });
    globalThis.emitted = [];
    globalThis.client = new OrosyncClient({ url: '/ws', ticketUrl: '/sync/ticket' });
    for (const event of ['state', 'connected', 'disconnected']) {
      client.on(event, (detail) => emitted.push({ event, detail }));
    }
    document.title = 'ready';
  </script>`;
const POLICY = "default-src 'none'; style-src 'self'; script-src 'self' 'nonce-page'; connect-src 'self'";

let profile;
let context;

before(async () => {
  profile = mkdtempSync(join(tmpdir(), 'orosync-chromium-'));
  context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    ignoreDefaultArgs: ['--disable-back-forward-cache'],
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
  context.setDefaultTimeout(10_000);
});

after(async () => {
  await context?.close();
  rmSync(profile, { recursive: true, force: true });
});

/** A page with a client that is not connected yet, on its own server. */
async function openPage(t) {
  const server = await startServer(t);
  server.answerPage = answerPage;
  const page = await context.newPage();
  t.after(() => page.close());
  const errors = [];
  page.on('pageerror', (error) => errors.push(error.message));
  await page.goto(`${server.origin}/page?x=1#part`);
  await page.waitForFunction(() => document.title === 'ready');
  return { server, page, errors };
}

/** The same for a page that the browser may cache for an hour. Each response carries a serial number. */
async function openCachedPage(t) {
  let copies = 0;
  const server = await startServer(t);
  server.answerPage = (request, response) => {
    if (request.url.startsWith('/page')) {
      copies += 1;
      const headers = { 'Content-Type': 'text/html', 'Content-Security-Policy': POLICY, 'Cache-Control': 'max-age=3600' };
      response.writeHead(200, headers).end(`${PAGE}<p>copy ${copies}</p>`);
    } else {
      answerPage(request, response);
    }
  };
  const page = await context.newPage();
  t.after(() => page.close());
  await page.goto(`${server.origin}/page?x=1#part`);
  await page.waitForFunction(() => document.title === 'ready');
  return { server, page };
}

function answerPage(request, response) {
  const { pathname } = new URL(request.url, 'http://localhost');
  if (pathname.startsWith('/orosync/') && existsSync(SOURCES + pathname.slice(9))) {
    response.writeHead(200, { 'Content-Type': TYPES[extname(pathname)] });
    createReadStream(SOURCES + pathname.slice(9)).pipe(response);
  } else if (pathname.startsWith('/page')) {
    response.writeHead(200, { 'Content-Type': 'text/html', 'Content-Security-Policy': POLICY }).end(PAGE);
  } else {
    response.writeHead(404).end();
  }
}

/** A resume ticket of maximum length, which contains many topics. */
const JWT = `${'a'.repeat(36)}.${'b-_9'.repeat(750)}.${'c'.repeat(43)}`;

function answerResume(server) {
  server.answerResume = (session, callId) => session.send([3, callId, { ticket: JWT, seconds: 300, positions: {} }]);
}

/** Connects, and waits until the page has its resume ticket. */
async function resumable(server, page) {
  answerResume(server);
  await connect(page);
  const session = await server.sessions.take();
  await holdsTicket(page, session);
  return session;
}

/** Waits until the ticket has arrived: the answer to a later call arrives after it. */
async function holdsTicket(page, session) {
  await session.renewals.take();
  const answered = page.evaluate(() => client.call('behind'));
  const [, callId] = await session.messages.takeUntil(([type, , procedure]) => type === 2 && procedure === 'behind');
  session.send([3, callId, null]);
  await answered;
}

const CHANGED = 'Somebody else has changed this content.';

const connect = (page) => page.evaluate(() => client.connect());
const untilState = (page, name) => page.waitForFunction((wanted) => client.state === wanted, name);

describe('the client in a page', () => {
  it('connects to a path on its own host, with a ticket', async (t) => {
    const { server, page, errors } = await openPage(t);
    await connect(page);
    const session = await server.sessions.take();
    await untilState(page, 'connected');
    assert.equal(session.url, '/ws?ticket=ticket-1');
    assert.equal(session.protocol, 'orosync.1');
    assert.deepEqual(errors, []);
  });

  it('stops when the ticket endpoint redirects to a login page', async (t) => {
    const { server, page } = await openPage(t);
    server.answerTicket = (request, response) => response.writeHead(302, { Location: '/page/login' }).end();
    await connect(page);
    await untilState(page, 'refused');
    assert.match(await page.evaluate(() => emitted.at(-1).detail.reason), /redirect, probably to a login page/);
  });

  it('reports an exception of a callback as an uncaught error', async (t) => {
    const { server, page, errors } = await openPage(t);
    await page.evaluate(() => {
      client.subscribe('a', () => {
        throw new Error('mine');
      });
      client.subscribe('a', (payload) => {
        document.title = payload;
      });
    });
    await connect(page);
    (await server.sessions.take()).publish('a', 'second was called');
    await page.waitForFunction(() => document.title === 'second was called');
    assert.deepEqual(errors, ['mine']);
  });

  it('reconnects at once when the browser is online again', async (t) => {
    const { server, page } = await openPage(t);
    await connect(page);
    const session = await server.sessions.take();
    await untilState(page, 'connected');
    await context.setOffline(true);
    t.after(() => context.setOffline(false));
    session.drop();
    // Attempts fail while the browser is offline. The delay is long, so its timer cannot start the next attempt in time.
    await page.waitForFunction(() => client.state === 'backing-off' && emitted.at(-1).detail.delay > 2_000, undefined, { timeout: 30_000 });
    await page.evaluate(() =>
      addEventListener('online', () => {
        globalThis.stateWhenOnline = client.state;
      }),
    );
    await context.setOffline(false);
    await untilState(page, 'connected');
    assert.equal(await page.evaluate(() => stateWhenOnline), 'requesting-ticket');
  });

  it('reconnects at once when the tab becomes visible', async (t) => {
    const { server, page } = await openPage(t);
    await connect(page);
    const session = await server.sessions.take();
    await untilState(page, 'connected');
    session.drop();
    const states = await page.waitForFunction(() => {
      if (client.state !== 'backing-off') {
        return null;
      }
      document.dispatchEvent(new Event('visibilitychange')); // the tab was visible before, too
      return ['backing-off', client.state];
    });
    assert.deepEqual(await states.jsonValue(), ['backing-off', 'requesting-ticket']);
    await untilState(page, 'connected');
  });

  it('keeps its delay after "try again later"', async (t) => {
    const { server, page } = await openPage(t);
    await connect(page);
    const session = await server.sessions.take();
    await untilState(page, 'connected');
    session.close(1013);
    await untilState(page, 'backing-off');
    const state = await page.evaluate(() => {
      document.dispatchEvent(new Event('visibilitychange'));
      dispatchEvent(new Event('online'));
      return client.state;
    });
    assert.equal(state, 'backing-off');
  });

  it('closes when the page is left and reconnects when the back/forward cache restores it', async (t) => {
    const { server, page } = await openPage(t);
    await page.evaluate(() =>
      addEventListener('pageshow', ({ persisted }) => {
        globalThis.isRestored = persisted;
      }),
    );
    await connect(page);
    const session = await server.sessions.take();
    await untilState(page, 'connected');

    await page.goto(`${server.origin}/page/other`);
    assert.equal(await session.closed, 1000);
    await page.goBack({ waitUntil: 'commit' }); // a page from the cache has no load event
    await page.waitForFunction(() => globalThis.isRestored === true);
    await untilState(page, 'connected');
    assert.equal((await server.sessions.take()).url, '/ws?ticket=ticket-2');
    const states = await page.evaluate(() => emitted.filter(({ event }) => event === 'state').map(({ detail }) => detail));
    assert.deepEqual(states, ['requesting-ticket', 'connecting', 'connected', 'suspended', 'requesting-ticket', 'connecting', 'connected']);
  });

  it('reconnects from the back/forward cache with a resume ticket, without a request to PHP', async (t) => {
    const { server, page } = await openPage(t);
    const session = await resumable(server, page);
    await page.goto(`${server.origin}/page/other`);
    await session.closed;
    await page.goBack({ waitUntil: 'commit' });
    const next = await server.sessions.take();
    assert.equal(next.url, '/ws');
    assert.equal(next.offered, `orosync.1, wamp, orosync.ticket.${JWT}`);
    await untilState(page, 'connected');
    const states = await page.evaluate(() => emitted.filter(({ event }) => event === 'state').map(({ detail }) => detail));
    assert.deepEqual(states, ['requesting-ticket', 'connecting', 'connected', 'suspended', 'connecting', 'connected']);
    assert.equal(server.ticketRequests.size, 1);
  });

  it('reconnects from the back/forward cache with a resume ticket even if its socket looks open', async (t) => {
    const { server, page } = await openPage(t);
    const session = await resumable(server, page);
    await page.evaluate(() => dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true })));
    assert.equal((await server.sessions.take()).url, '/ws');
    assert.equal(await session.closed, 1000);
    assert.equal(server.ticketRequests.size, 1);
  });

  it('requests a ticket from PHP at once when its resume ticket is rejected', async (t) => {
    const { server, page } = await openPage(t);
    const session = await resumable(server, page);
    server.greets = false;
    session.drop();
    (await server.sessions.take()).close(4010);
    server.greets = true;
    assert.equal((await server.sessions.take()).url, '/ws?ticket=ticket-2');
    assert.deepEqual(server.upgradeUrls, ['/ws?ticket=ticket-1', '/ws', '/ws?ticket=ticket-2']);
  });

  it('renews its resume ticket when the page becomes visible after the machine has slept', async (t) => {
    const { server, page } = await openPage(t);
    const session = await resumable(server, page);
    await page.evaluate(() => {
      const { now } = Date;
      Date.now = () => now() + 250_000;
      document.dispatchEvent(new Event('visibilitychange'));
    });
    await session.renewals.take();
    assert.equal(server.upgradeUrls.length, 1);
  });

  it('reconnects for another user without the resume ticket of the previous one', async (t) => {
    const { server, page } = await openPage(t);
    answerResume(server);
    const show = (userName) => page.evaluate(async (name) => {
      const { client } = await import('/orosync/page.js');
      globalThis.client = client;
      const element = document.createElement('orosync-page');
      const settings = { url: '/ws', ticketUrl: '/sync/ticket', userName: name, userId: name, role: 'user', organizationId: 1 };
      element.setAttribute('client', JSON.stringify(settings));
      document.querySelector('orosync-page')?.remove();
      document.body.append(element);
    }, userName);
    await show('anna');
    const session = await server.sessions.take();
    await holdsTicket(page, session);
    await show('ben');
    assert.equal((await server.sessions.take()).url, '/ws?ticket=ticket-2');
    assert.equal(await session.closed, 1000);
  });

  it('removes its listeners from the page when it is closed', async (t) => {
    const { server, page } = await openPage(t);
    await connect(page);
    await server.sessions.take();
    await untilState(page, 'connected');
    const state = await page.evaluate(() => {
      client.close();
      dispatchEvent(new PageTransitionEvent('pagehide'));
      dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }));
      return client.state;
    });
    assert.equal(state, 'closed');
  });
});

describe('the flash message', () => {
  it('is a status with its text as text, and a reload button', async (t) => {
    const { server, page, errors } = await openPage(t);
    const text = '<img src=x onerror="document.title=1"> & more';
    await page.evaluate((message) => void showFlash({ kind: 'outdated', texts: { message } }), text);
    const flash = page.getByRole('status');
    await flash.getByText(text).waitFor();
    assert.equal(await flash.getAttribute('aria-live'), 'polite');

    await page.fill('#field', 'changed');
    await Promise.all([page.waitForNavigation(), flash.getByRole('button', { name: 'Reload the page' }).click()]);
    assert.equal(page.url(), `${server.origin}/page?x=1`);
    assert.equal(await page.inputValue('#field'), 'typed');
    assert.deepEqual(errors, []);
  });

  it('reloads a fresh copy of a cached page', async (t) => {
    const { server, page } = await openCachedPage(t);
    await page.evaluate(() => void showFlash({ kind: 'outdated' }));
    await page.getByRole('button', { name: 'Reload the page' }).click();
    await page.getByText('copy 2').waitFor();
    assert.equal(page.url(), `${server.origin}/page?x=1`);
  });

  it('reloads the cached page when no fresh copy arrives', async (t) => {
    const { server, page } = await openCachedPage(t);
    await page.evaluate(() => {
      const { timeout } = AbortSignal;
      AbortSignal.timeout = () => timeout.call(AbortSignal, 50);
      showFlash({ kind: 'outdated' });
    });
    const answer = server.answerPage;
    for (const fail of [() => {}, (request, response) => response.destroy()]) {
      server.answerPage = (request, response) => {
        server.answerPage = answer;
        fail(request, response);
      };
      await Promise.all([page.waitForNavigation(), page.getByRole('button', { name: 'Reload the page' }).click()]);
      await page.waitForFunction(() => globalThis.showFlash !== undefined);
      await page.evaluate(() => void showFlash({ kind: 'outdated' }));
    }
  });

  it('is inserted empty, so that a screen reader knows the region before its text', async (t) => {
    const { page } = await openPage(t);
    const early = await page.evaluate(() => {
      showFlash({ kind: 'outdated' });
      const region = document.querySelector('[role=status]');
      return { text: region.textContent, visibility: getComputedStyle(region).visibility };
    });
    assert.deepEqual(early, { text: '', visibility: 'visible' });
    await page.getByText(CHANGED).waitFor();
  });

  it('of maintenance is an alert without a reload button', async (t) => {
    const { page } = await openPage(t);
    await page.evaluate(() => void showFlash({ kind: 'maintenance' }));
    const flash = page.getByRole('alert');
    await flash.getByText('The site has gone into maintenance').waitFor();
    assert.deepEqual(await flash.getByRole('button').allInnerTexts(), ['×']);
  });

  it('is dismissed by its button, by Escape and by the returned function', async (t) => {
    const { page } = await openPage(t);
    await page.evaluate(() => void showFlash({ kind: 'outdated', texts: { dismiss: 'Weg damit' } }));
    await page.getByRole('button', { name: 'Weg damit' }).click();
    await page.getByRole('status').waitFor({ state: 'detached' });

    await page.evaluate(() => void showFlash({ kind: 'outdated' }));
    await page.getByRole('button', { name: 'Dismiss' }).focus();
    await page.keyboard.press('Escape');
    await page.getByRole('status').waitFor({ state: 'detached' });

    const left = await page.evaluate(() => {
      showFlash({ kind: 'outdated' })();
      return document.querySelectorAll('.orosync-flash').length;
    });
    assert.equal(left, 0);
  });

  it('returns the focus to the element that had it', async (t) => {
    const { page } = await openPage(t);
    await page.focus('#field');
    await page.evaluate(() => void showFlash({ kind: 'outdated' }));
    await page.getByRole('button', { name: 'Reload the page' }).waitFor();
    await page.keyboard.press('Tab');
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement.textContent), '×');
    await page.keyboard.press('Enter');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'field');
  });

  it('is not repeated, and at most four are visible', async (t) => {
    const { page } = await openPage(t);
    await page.evaluate(() => {
      showFlash({ kind: 'outdated', texts: { message: 'first' } });
      for (const message of ['a', 'b', 'b', 'c', 'd', 'b']) {
        showFlash({ kind: 'outdated', texts: { message } });
      }
    });
    await page.getByText('d', { exact: true }).waitFor();
    assert.deepEqual(await page.locator('.orosync-flash__message').allInnerTexts(), ['a', 'b', 'c', 'd']);
  });

  it('that is not certain is replaced by the certain one, and not shown beside it', async (t) => {
    const { page } = await openPage(t);
    await page.evaluate(() => {
      showFlash({ kind: 'outdated', isCertain: false });
      showFlash({ kind: 'outdated', isCertain: false });
      showFlash({ kind: 'maintenance' });
    });
    await page.getByText('This page may be out of date.').waitFor();
    await page.getByRole('status').getByRole('button', { name: 'Reload the page' }).waitFor();
    const messages = page.locator('.orosync-flash__message');
    assert.equal(await messages.count(), 2);

    await page.evaluate(() => {
      showFlash({ kind: 'outdated' });
      showFlash({ kind: 'outdated', isCertain: false });
    });
    await page.getByText(CHANGED).waitFor();
    assert.deepEqual((await messages.allInnerTexts()).slice(1), [CHANGED]);
    assert.equal(await messages.count(), 2);

    await page.getByRole('status').getByRole('button', { name: 'Dismiss' }).click();
    await page.evaluate(() => void showFlash({ kind: 'outdated', isCertain: false }));
    await page.getByText('This page may be out of date.').waitFor();
  });

  it('that is not certain is shown beside messages with another text', async (t) => {
    const { page } = await openPage(t);
    await page.evaluate(() => {
      showFlash({ kind: 'outdated', texts: { message: 'Ben has written a comment.' } });
      showFlash({ kind: 'outdated', isCertain: false });
    });
    const messages = page.locator('.orosync-flash__message');
    await page.getByText('This page may be out of date.').waitFor();
    assert.deepEqual(await messages.allInnerTexts(), ['Ben has written a comment.', 'This page may be out of date.']);
    await page.evaluate(() => void showFlash({ kind: 'outdated', texts: { message: 'Ben has written another one.' } }));
    await page.getByText('Ben has written another one.').waitFor();
    assert.equal(await messages.count(), 3);
  });

  it('that was shown twice is removed by either of the returned functions', async (t) => {
    const { page } = await openPage(t);
    const left = await page.evaluate(() => {
      showFlash({ kind: 'outdated' });
      const dismissSecond = showFlash({ kind: 'outdated' });
      dismissSecond();
      return document.querySelectorAll('.orosync-flash').length;
    });
    assert.equal(left, 0);
  });

  it("reports its removal, and is not part of Turbo's snapshots", async (t) => {
    const { page } = await openPage(t);
    await page.evaluate(() => {
      globalThis.dismissed = [];
      const show = (kind) => showFlash({ kind, onDismiss: () => dismissed.push(kind) });
      show('outdated')();
      show('maintenance');
    });
    await page.locator('.orosync-flash--maintenance').getByRole('button', { name: 'Dismiss' }).click();
    assert.deepEqual(await page.evaluate(() => dismissed), ['outdated', 'maintenance']);
    assert.equal(await page.locator('.orosync-flashes[data-turbo-temporary]').count(), 1);
  });

  it('calls onReload instead of reloading, and omits the button on request', async (t) => {
    const { page } = await openPage(t);
    await page.evaluate(() => {
      showFlash({ kind: 'outdated', texts: { reload: 'Fetch it' }, onReload: () => (document.title = 'requested') });
      showFlash({ kind: 'maintenance', texts: { reload: null } });
    });
    await page.getByRole('button', { name: 'Fetch it' }).click();
    assert.equal(await page.title(), 'requested');
    assert.equal(await page.getByRole('alert').locator('.orosync-flash__reload').count(), 0);
  });

  it('names the known kinds in the error for an unknown one', async (t) => {
    const { page } = await openPage(t);
    const message = await page.evaluate(() => {
      try {
        return showFlash({ kind: 'toString' });
      } catch (error) {
        return error.message;
      }
    });
    assert.equal(message, 'showFlash: there is no kind "toString"; there are: outdated, maintenance');
  });

  it('has enough contrast in light and dark, and respects prefers-reduced-motion', async (t) => {
    const { page } = await openPage(t);
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      for (const kind of ['outdated', 'maintenance']) {
        await page.evaluate((wanted) => void showFlash({ kind: wanted }), kind);
        const flash = page.locator(`.orosync-flash--${kind}:not(:empty)`);
        await flash.waitFor();
        const style = await flash.evaluate((element) => {
          const { color, backgroundColor, animationName } = getComputedStyle(element);
          return { color, backgroundColor, animationName };
        });
        assert.equal(style.animationName, 'none');
        const ratio = contrast(style.color, style.backgroundColor);
        assert.ok(ratio >= 7, `${kind} in ${colorScheme}: contrast ${ratio} (WCAG AAA: 7)`);
      }
    }
  });

  it('uses the colours of the custom properties of the page', async (t) => {
    const { page } = await openPage(t);
    const background = await page.evaluate(() => {
      document.documentElement.style.setProperty('--orosync-flash-background', 'rgb(1, 2, 3)');
      showFlash({ kind: 'outdated' });
      return getComputedStyle(document.querySelector('.orosync-flash')).backgroundColor;
    });
    assert.equal(background, 'rgb(1, 2, 3)');
  });
});

/** Contrast of two `rgb(r, g, b)` colours, as WCAG 2.2 defines it. */
function contrast(one, other) {
  const [lighter, darker] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (lighter + 0.05) / (darker + 0.05);
}

function luminance(color) {
  const [red, green, blue] = color.match(/\d+/g).map((channel) => {
    const share = channel / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
