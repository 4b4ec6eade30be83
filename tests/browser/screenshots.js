/** Makes the pictures of the documentation anew: node screenshots.js DIRECTORY */
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
  colorScheme: 'light',
  reducedMotion: 'reduce',
  viewport: { width: 960, height: 720 },
  deviceScaleFactor: 1.5,
});

const demo = await Demo.start();
const people = await People.gather(demo.url);
try {
  const anna = await people.signedIn('anna', LOOK);
  const ben = await people.signedIn('ben', LOOK);

  await anna.open('/contacts/6/edit');
  await ben.save(6, { Phone: '+49 30 23125 166' });
  await anna.isTold('outdated');
  await picture(anna, 'flash');

  await anna.enter({ Notes: 'Invoice monthly.' });
  await anna.submit();
  await anna.page.getByRole('heading', { name: 'Your changes were not saved' }).waitFor();
  await anna.listens();
  await picture(anna, 'conflict');

  await anna.open('/contacts');
  await ben.save(3, { Notes: 'Repaired.' });
  await anna.isTold('outdated');
  await picture(anna, 'list');

  await ben.open('/contacts/1');
  await demo.console('orosync:maintenance', 'on');
  await ben.isTold('maintenance');
  await picture(ben, 'maintenance');
  await demo.console('orosync:maintenance', 'off');

  await anna.open('/status');
  await anna.page.locator('#server dd').first().waitFor();
  await anna.page.locator('#php dd').first().waitFor();
  await picture(anna, 'status', { fullPage: true });
} finally {
  await people.close();
  await demo.stop();
}

/** @param {import('./people.js').Person} person @param {string} name @param {{ fullPage?: boolean }} [options] */
async function picture(person, name, options) {
  await person.page.screenshot({ path: join(directory, `${name}.png`), animations: 'disabled', ...options });
}
