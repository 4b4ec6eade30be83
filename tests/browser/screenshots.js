/** Creates the screenshots of the documentation: node screenshots.js DIRECTORY */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { argv } from 'node:process';

import { Demo } from './demo.js';
import { People } from './people.js';

const [, , directory] = argv;
if (directory === undefined) {
  throw new Error('Say where the pictures go: node screenshots.js DIRECTORY');
}
await mkdir(directory, { recursive: true });

const LOOK = /** @type {const} */ ({
  reducedMotion: 'reduce',
  viewport: { width: 1080, height: 700 },
  deviceScaleFactor: 1,
});
const LIGHT = /** @type {const} */ ({ ...LOOK, colorScheme: 'light' });
const DARK = /** @type {const} */ ({ ...LOOK, colorScheme: 'dark' });
const PHONE = /** @type {const} */ ({ ...LIGHT, viewport: { width: 390, height: 760 }, deviceScaleFactor: 1.5, isMobile: true, hasTouch: true });

const demo = await Demo.start();
const people = await People.gather(demo.url);
try {
  const [anna, ben, dark, phone, dora] = await Promise.all([
    people.signedIn('anna', LIGHT),
    people.signedIn('ben', LIGHT),
    people.signedIn('carla', DARK),
    people.signedIn('carla', PHONE),
    people.signedIn('dora', LIGHT),
  ]);

  for (const person of [anna, dark, phone]) {
    await person.open('/board');
  }
  await dora.open('/orders');
  await ben.open('/board');
  await ben.page.getByRole('button', { name: 'Move Second loom to Proposal' }).click();
  for (const person of [anna, dark, phone]) {
    await person.page.locator('.column[data-stage=proposal]').getByText('Second loom').waitFor();
  }
  await dora.page.getByText('Second loom: Offer sent').waitFor();
  await picture(anna, 'board');
  await picture(dark, 'board-dark');
  await picture(phone, 'phone');
  await picture(dora, 'orders');

  await anna.open('/contacts/5/edit');
  await ben.save(5, { Phone: '+1 202 555 0155' });
  await anna.isTold('outdated');
  await picture(anna, 'flash');

  await anna.enter({ Notes: 'Renewal in April.' });
  await anna.submit();
  await anna.page.getByRole('heading', { name: 'Your changes were not saved' }).waitFor();
  await anna.isSubscribed();
  await picture(anna, 'conflict');

  for (const person of [anna, dark]) {
    await person.open('/contacts');
  }
  await ben.save(3, { Notes: 'Repaired.' });
  for (const [person, name] of /** @type {const} */ ([[anna, 'list'], [dark, 'list-dark']])) {
    await person.isTold('outdated');
    await picture(person, name);
  }

  await ben.open('/contacts/1');
  await demo.console('orosync:maintenance', 'on');
  await ben.isTold('maintenance');
  await picture(ben, 'maintenance');
  await demo.console('orosync:maintenance', 'off');

  await anna.open('/import');
  await anna.page.getByRole('button', { name: 'Import 1,000 rows' }).click();
  await anna.page.waitForFunction(() => (document.querySelector('progress')?.position ?? 0) > 0.4);
  await picture(anna, 'import');
  await anna.page.getByText('All rows were imported.').waitFor();

  await anna.open('/status');
  for (const list of ['server', 'php', 'counters']) {
    await anna.page.locator(`#${list} dd`).first().waitFor();
  }
  await picture(anna, 'status');
} finally {
  await people.close();
  await demo.stop();
}

/** @param {import('./people.js').Person} person @param {string} name */
async function picture(person, name) {
  await person.page.bringToFront();
  await person.page.screenshot({ path: join(directory, `${name}.png`), animations: 'disabled' });
}
