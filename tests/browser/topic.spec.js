/** A topic of the application, in a new application: the example and the statements about the client in docs/symfony.md. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { launchChromium } from './browsers.js';
import { FreshApplication, exampleOf } from './fresh.js';

const LAYOUT = `<!doctype html>
<html lang="en"><head><title>Fresh</title></head><body>{% block body %}{% endblock %}{{ orosync_page() }}</body></html>
`;

/** A page whose module is loaded before the element's module. */
const WAITING = `{% extends 'base.html.twig' %}
{% block body %}
    <script type="module">
        window.wasDefined = customElements.get('orosync-page') !== undefined;
        await customElements.whenDefined('orosync-page');
        window.client = document.querySelector('orosync-page').client;
    </script>
{% endblock %}
`;

/** A page whose module runs before the element is in the page. */
const LATE = `<!doctype html>
<html lang="en"><head><title>Fresh</title></head><body><script type="module">
    import { client } from '/bundles/orosynclive/page.js';

    client.subscribe('acme/orders/7', ({ shipped }) => {
        document.title = shipped;
    });
    document.body.append(document.querySelector('template').content);
</script><template>{{ orosync_page() }}</template></body></html>
`;

const QUIET = `<!doctype html>
<html lang="en"><head><title>Fresh</title></head><body><script type="module">
    import { client } from '/bundles/orosynclive/page.js';

    client.on('refused', ({ topic }) => {
        document.title = topic;
    });
    client.subscribe('acme/nobody', () => {});
</script>{{ orosync_page(warnings = app.request.query.has('loud')) }}</body></html>
`;

const CONTROLLER = `<?php

namespace App\\Controller;

use App\\OrderShipped;
use Symfony\\Component\\HttpFoundation\\Response;
use Twig\\Environment;

final class OrdersController
{
    public function page(string $name, Environment $twig): Response
    {
        return new Response($twig->render("$name.html.twig"));
    }

    public function ship(int $user, string $number, OrderShipped $shipped): Response
    {
        $shipped->tell($user, $number);

        return new Response('shipped');
    }
}
`;

const ROUTES = `
page: {path: '/page/{name}', controller: App\\Controller\\OrdersController::page}
ship: {path: '/ship/{user}/{number}', controller: App\\Controller\\OrdersController::ship}
`;

describe('a topic of an application', () => {
  /** @type {FreshApplication} */
  let application;
  /** @type {import('./browsers.js').Browser<import('playwright-core').Page>} */
  let browser;

  before(async () => {
    const document = 'docs/symfony.md';
    application = await FreshApplication.start({
      'config/packages/orosync.yaml': await exampleOf(document, "'acme/chat/{room}'"),
      'config/routes/orders.yaml': ROUTES,
      'src/OrderShipped.php': `<?php\n\nnamespace App;\n\n${await exampleOf(document, 'class OrderShipped')}`,
      'src/Controller/OrdersController.php': CONTROLLER,
      'templates/base.html.twig': LAYOUT,
      'templates/orders.html.twig': await exampleOf(document, 'templates/orders.html.twig'),
      'templates/waiting.html.twig': WAITING,
      'templates/late.html.twig': LATE,
      'templates/quiet.html.twig': QUIET,
    });
    browser = await launchChromium();
  });
  after(async () => {
    await browser?.close();
    await application?.stop();
  });

  /** Opens a page of Ann, whose id is 7. @param {string} name @param {import('node:test').TestContext} t */
  async function open(name, t) {
    const context = await browser.newContext({ baseURL: application.url, extraHTTPHeaders: { 'X-User': 'ann' } });
    t.after(() => context.close());
    context.setDefaultTimeout(15_000);
    const page = await context.newPage();
    /** @type {string[]} */
    const said = [];
    page.on('pageerror', (error) => said.push(error.message));
    page.on('console', (message) => {
      // There is no favicon.
      if (['error', 'warning'].includes(message.type()) && !message.location().url.endsWith('/favicon.ico')) {
        said.push(message.text());
      }
    });
    await page.goto(`/page/${name}`);
    return { page, said };
  }

  /** Waits until the server has processed the page's subscriptions. @param {import('playwright-core').Page} page */
  const isSubscribed = (page) => page.evaluate(async () => {
    const { client } = await import('/bundles/orosynclive/page.js');
    await new Promise((resolve) => {
      client.on('connected', resolve);
      if (client.state === 'connected') {
        resolve(undefined);
      }
    });
    await client.call('orosync/session');
  });

  it('is received in the page of the documentation\'s example', async (t) => {
    const { page, said } = await open('orders', t);
    await isSubscribed(page);

    await page.request.get('/ship/8/B-1');
    await page.request.get('/ship/7/A-1');

    await page.getByText('Order A-1 was shipped.').waitFor();
    assert.equal(await page.getByText('B-1').count(), 0);
    assert.deepEqual(said, []);
  });

  it('is received by a script that was loaded before the element', async (t) => {
    const { page } = await open('late', t);
    await isSubscribed(page);

    await page.request.get('/ship/7/A-2');

    await page.waitForFunction(() => document.title === 'A-2');
  });

  it('can be subscribed to with the property `client` of the element once it is defined', async (t) => {
    const { page } = await open('waiting', t);

    await page.waitForFunction(() => 'client' in window);
    assert.equal(await page.evaluate(async () => {
      const { client } = await import('/bundles/orosynclive/page.js');
      const global = /** @type {Window & { client?: unknown, wasDefined?: boolean }} */ (window);
      return global.client === client && global.wasDefined === false;
    }), true);
  });

  it('is subscribed to over the same connection by another copy of the module', async (t) => {
    const { page } = await open('orders', t);
    await isSubscribed(page);

    assert.equal(await page.evaluate(async () => {
      const { client } = await import('/bundles/orosynclive/page.js');
      const address = '/bundles/orosynclive/page.js?of=a-build';
      /** @type {{ client: unknown }} */
      const copy = await import(address);
      return copy.client === client;
    }), true);
  });

  it('logs a warning in the console if it is refused, unless switched off', async (t) => {
    for (const [name, warnings] of /** @type {const} */ ([['quiet', 0], ['quiet?loud', 1]])) {
      const { page, said } = await open(name, t);
      await page.waitForFunction(() => document.title === 'acme/nobody');
      assert.equal(said.filter((text) => text.startsWith('Orosync: the server refused the topic "acme/nobody"')).length, warnings, name);
    }
  });
});
