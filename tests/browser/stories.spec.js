/** The stories in each browser, run concurrently because they mostly wait. */
import { after, before, describe } from 'node:test';

import { BROWSERS, launchChromium } from './browsers.js';
import { outdatedContentStory } from './outdated.story.js';
import { reconnectStory } from './reconnect.story.js';
import { Stage } from './stage.js';
import { turboStory } from './turbo.story.js';

describe('each browser', { concurrency: true }, () => {
  /** @type {import('./browsers.js').Browser<import('playwright-core').Page>} */
  let chromium;

  before(async () => {
    chromium = await launchChromium();
  });
  after(() => chromium?.close());

  for (const browser of BROWSERS) {
    describe(browser, { concurrency: 1 }, () => {
      /** @type {Stage} */
      let stage;

      before(async () => {
        stage = await Stage.open(browser, chromium);
      });
      after(() => stage?.close());

      for (const story of [outdatedContentStory, turboStory, reconnectStory]) {
        story(() => stage);
      }
    });
  }
});
