/** The demo on a narrow phone (320 CSS pixels; WCAG 2.2, 1.4.10): nothing is clipped, and no page scrolls sideways. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { Demo } from './demo.js';
import { People } from './people.js';

const WIDTH = 320;
const HEIGHT = 640;
const PHONE = { viewport: { width: WIDTH, height: HEIGHT } };

const OFFICE = [
  '/board', '/contacts', '/contacts?search=nobody', '/contacts/1', '/contacts/1/edit', '/contacts/new', '/companies', '/companies/5',
  '/companies/5/edit', '/companies/new', '/deals', '/deals/1', '/deals/1/edit', '/deals/new', '/import', '/import/1', '/status', '/nowhere',
];

describe('on a phone', () => {
  /** @type {Demo} */
  let demo;
  /** @type {People} */
  let people;

  before(async () => {
    demo = await Demo.start();
    people = await People.gather(demo.url);
  });
  after(async () => {
    await people?.close();
    await demo?.stop();
  });

  it('every page of the back office fits the width, including its messages', async () => {
    const anna = await people.signedIn('anna', PHONE);
    await anna.goto('/import');
    await anna.page.getByRole('button', { name: /Import/ }).click();
    await anna.page.waitForURL('**/import/1');

    await fits(anna, OFFICE);
  });

  it('the response to a save of an older version fits the width', async () => {
    const anna = await people.signedIn('anna', PHONE);
    const ben = await people.signedIn('ben');
    await anna.goto('/contacts/2/edit');
    await ben.save(2, { Phone: '+1 202 555 0155', Notes: 'AveryLongWordWithoutASpaceThatCannotBeBrokenAnywhereElseThanWithin' });

    await anna.enter({ Notes: 'Renewal in April.' });
    await anna.submit();
    await anna.page.getByRole('heading', { name: 'Your changes were not saved' }).waitFor();

    assert.deepEqual(await tooWide(anna), []);
  });

  it('a list with a long name fits the width', async () => {
    const anna = await people.signedIn('anna', PHONE);
    const long = 'Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft';
    await anna.goto('/companies/new');
    await anna.enter({ Name: long });
    await anna.submit();
    await anna.page.getByText(`${long} was added.`).waitFor();

    await fits(anna, ['/companies']);
  });

  it('the pages of customers and the public pages fit the width', async () => {
    await fits(await people.signedIn('dora', PHONE), ['/orders', '/']);
    await fits(await people.visitor(PHONE), ['/', '/login']);
  });
});

/** @param {import('./people.js').Person} person @param {string[]} paths */
async function fits(person, paths) {
  /** @type {string[]} */
  const problems = [];
  for (const path of paths) {
    await person.goto(path);
    await person.page.evaluate(async () => {
      const { showFlash } = await import('/bundles/orosynclive/index.js');
      showFlash({ kind: 'outdated', texts: { message: 'Somebody else has changed this content, which is in anna.lovelace@analytical-engine.example.' } });
      showFlash({ kind: 'maintenance' });
    });
    await person.page.locator('.orosync-flash__dismiss').nth(1).waitFor();
    problems.push(...(await tooWide(person)).map((problem) => `${path}: ${problem}`));
  }
  assert.deepEqual(problems, []);
}

/**
 * Elements that are clipped or make the page wider than the screen, except in scrollable areas such as the board.
 *
 * @param {import('./people.js').Person} person
 */
const tooWide = (person) => person.page.evaluate((height) => {
  const { scrollWidth, clientWidth } = document.documentElement;
  /** @type {(element: Element | null) => boolean} */
  const isMoved = (element) => element !== null
    && (['auto', 'scroll'].includes(getComputedStyle(element).overflowX) || isMoved(element.parentElement));
  /** @type {(css: string, lowest: number) => string[]} */
  const cut = (css, lowest) => [...document.querySelectorAll(css)].filter((element) => {
    const { left, right, top, bottom } = element.getBoundingClientRect();
    return (left < 0 || Math.floor(right) > clientWidth || top < 0 || bottom > lowest) && !isMoved(element);
  }).map((element) => `cut off: ${element.tagName.toLowerCase()}.${element.className}: ${element.textContent?.trim().slice(0, 40)}`);
  return [
    ...(scrollWidth > clientWidth ? [`${scrollWidth - clientWidth} px too wide`] : []),
    ...cut('main *:not(.visually-hidden)', Infinity),
    ...cut('.orosync-flash, .orosync-flash *', height),
  ].slice(0, 6);
}, HEIGHT);
