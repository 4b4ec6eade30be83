/** The stories that hold in each of the browsers, side by side: they wait more than they work. */
import { after, before, describe } from 'node:test';

import { launchChromium } from './browsers.js';
import { tellOfOutdatedContent } from './outdated.story.js';
import { tellOfReconnecting } from './reconnect.story.js';
import { Stage } from './stage.js';
import { tellOfTurbo } from './turbo.story.js';

describe('each browser', { concurrency: true }, () => {
  /** @type {import('./browsers.js').Browser<import('playwright-core').Page>} */
  let chromium;

  before(async () => {
    chromium = await launchChromium();
  });
  after(() => chromium?.close());

  for (const browser of ['Chromium']) {
    describe(browser, { concurrency: 1 }, () => {
      /** @type {Stage} */
      let stage;

      before(async () => {
        stage = await Stage.open(browser, chromium);
      });
      after(() => stage?.close());

      for (const tell of [tellOfOutdatedContent, tellOfTurbo]) {
        tell(() => stage);
      }
    });
  }
});
