/**
 * The board: deals are moved by dragging, with their buttons, and by other users.
 *
 * A move is sent with the version that the page knows, and shown when the application has accepted it. Moves of others arrive
 * on the topic `demo/board`, including those without a connection. An event with an older version than the page's is ignored,
 * and so is the page's own.
 */
import { client, fetchCurrent, isFromNetwork, sinceDocument } from './page.js';

/** @typedef {{ id: number, version: number, name: string, company: string, value: number, stage: string, savedBy: string }} Deal */

const board = /** @type {HTMLElement} */ (document.getElementById('board'));
const said = /** @type {HTMLElement} */ (document.getElementById('said'));
const columns = /** @type {HTMLElement[]} */ ([...board.querySelectorAll('.column')]);
const euros = new Intl.NumberFormat('en');

const TOPIC = 'demo/board';
client.subscribe(TOPIC, (payload) => {
  const deal = /** @type {Deal} */ (payload);
  const card = cardOf(deal.id);
  if (card !== null && deal.version > Number(card.dataset.version)) {
    const was = columnOf(card);
    show(card, deal);
    card.classList.add('news');
    say(columnOf(card) === was ? `${deal.savedBy} changed ${deal.name}.` : `${deal.savedBy} moved ${deal.name} to ${titleOf(columnOf(card))}.`);
  }
}, sinceDocument);
client.on('incomplete', ({ topic }) => {
  if (topic === TOPIC) {
    reload();
  }
});
if (!isFromNetwork) {
  reload();
}

board.addEventListener('submit', (event) => {
  event.preventDefault();
  const button = /** @type {HTMLButtonElement} */ (/** @type {SubmitEvent} */ (event).submitter);
  move(/** @type {HTMLElement} */ (button.closest('.deal')), button.value);
});

/** The dragged card; null: none. @type {HTMLElement | null} */
let dragged = null;
board.addEventListener('dragstart', (event) => {
  dragged = /** @type {HTMLElement} */ (event.target).closest('.deal');
  dragged?.classList.add('dragged');
  // Firefox does not start a drag without data.
  event.dataTransfer?.setData('text/plain', dragged?.dataset.deal ?? '');
});
board.addEventListener('dragend', () => {
  dragged?.classList.remove('dragged');
  dragged = null;
  markTarget(null);
});
board.addEventListener('dragover', (event) => {
  const column = columnAt(event);
  if (dragged !== null && column !== null) {
    event.preventDefault();
    markTarget(column);
  }
});
board.addEventListener('drop', (event) => {
  const column = columnAt(event);
  if (dragged !== null && column !== null) {
    event.preventDefault();
    if (column !== columnOf(dragged)) {
      move(dragged, stageOf(column));
    }
  }
});

/** @param {HTMLElement} card @param {string} stage */
async function move(card, stage) {
  const { deal: id, version = '' } = card.dataset;
  card.setAttribute('aria-busy', 'true');
  try {
    const response = await fetch(`/board/${id}`, {
      method: 'POST',
      headers: { Accept: 'application/json' },
      body: new URLSearchParams({ stage, version, token: board.dataset.token ?? '' }),
    });
    // No deal in the answer: deleted, or signed out.
    const deal = response.headers.get('Content-Type')?.startsWith('application/json') ? /** @type {Deal | null} */ (await response.json()) : null;
    if (deal === null) {
      location.reload();
      return;
    }
    const name = deal.name;
    // The board may have been reloaded meanwhile.
    const shown = cardOf(deal.id) ?? card;
    show(shown, deal);
    say(response.ok ? `${name} is in ${titleOf(columnOf(shown))} now.` : `The deal was not moved: ${deal.savedBy} changed ${name} meanwhile. Look, then move it again.`);
    shown.classList.toggle('refused', !response.ok);
  } catch {
    say('The deal was not moved: the server does not answer.');
    card.classList.add('refused');
  } finally {
    card.removeAttribute('aria-busy');
  }
}

/** Updates a card from the deal, and moves it to its column. @param {HTMLElement} card @param {Deal} deal */
function show(card, deal) {
  const column = columns.find((each) => stageOf(each) === deal.stage);
  if (column === undefined) {
    return;
  }
  const focused = card.contains(document.activeElement) ? /** @type {HTMLElement} */ (document.activeElement) : null;
  const isMoved = column !== columnOf(card) || Number(card.dataset.value) !== deal.value;
  card.dataset.version = String(deal.version);
  card.dataset.value = String(deal.value);
  part(card, '.deal-name').textContent = deal.name;
  part(card, '.deal-company').textContent = deal.company;
  part(card, '.deal-value').textContent = `€ ${euros.format(deal.value)}`;
  /** @type {HTMLInputElement} */ (part(card, '[name=version]')).value = String(deal.version);
  if (isMoved) {
    place(card, column);
  }
  label(card, deal.name);
  columns.forEach(sum);
  card.classList.remove('refused', 'moved', 'news');
  card.getBoundingClientRect();       // forces a layout, which restarts the animation
  card.classList.add('moved');
  if (focused !== null) {
    // Keeps the focus. At an end of the board the button is hidden.
    (focused.hidden ? /** @type {HTMLElement} */ (card.querySelector('.move:not([hidden])')) : focused).focus();
  }
}

/** Inserts the card by descending value, like the server. @param {HTMLElement} card @param {HTMLElement} column */
function place(card, column) {
  const next = dealsIn(column).find((other) => other !== card && Number(other.dataset.value) < Number(card.dataset.value)) ?? null;
  part(column, '.deals').insertBefore(card, next);
}

/** Updates the targets of its buttons. @param {HTMLElement} card @param {string} name */
function label(card, name) {
  const index = columns.indexOf(columnOf(card));
  for (const [step, target] of /** @type {const} */ ([['previous', columns[index - 1]], ['next', columns[index + 1]]])) {
    const button = /** @type {HTMLButtonElement} */ (part(card, `[data-step=${step}]`));
    button.hidden = target === undefined;
    if (target !== undefined) {
      button.value = stageOf(target);
      button.title = `Move ${name} to ${titleOf(target)}`;
      button.setAttribute('aria-label', button.title);
    }
  }
}

/** @param {HTMLElement} column */
function sum(column) {
  const deals = dealsIn(column);
  part(column, '.count').textContent = String(deals.length);
  part(column, '.sum').textContent = `€ ${euros.format(deals.reduce((all, deal) => all + Number(deal.dataset.value), 0))}`;
}

/** Applies newer versions from a reload. Events received meanwhile may be newer still. */
async function reload() {
  const fresh = await fetchCurrent();
  if (fresh === null) {
    return;
  }
  /** @type {Set<string | undefined>} */
  const present = new Set();
  for (const column of columns) {
    for (const card of dealsIn(/** @type {HTMLElement} */ (fresh.querySelector(`.column[data-stage=${stageOf(column)}]`)))) {
      present.add(card.dataset.deal);
      const shown = cardOf(Number(card.dataset.deal));
      if (shown === null || Number(shown.dataset.version) < Number(card.dataset.version)) {
        shown?.remove();
        place(card, column);
      }
    }
  }
  columns.flatMap(dealsIn).filter((card) => !present.has(card.dataset.deal)).forEach((card) => card.remove());
  columns.forEach(sum);
}

/** @param {HTMLElement | null} column */
function markTarget(column) {
  columns.forEach((each) => each.classList.toggle('target', each === column));
}

/** @param {string} text */
function say(text) {
  said.textContent = text;
  said.classList.add('news');
}

/** @param {Element} within @param {string} selector */
const part = (within, selector) => /** @type {HTMLElement} */ (within.querySelector(selector));
/** @type {(id: number) => HTMLElement | null} */
const cardOf = (id) => board.querySelector(`[data-deal="${id}"]`);
/** @type {(event: DragEvent) => HTMLElement | null} */
const columnAt = (event) => /** @type {Element} */ (event.target).closest('.column');
/** @type {(card: HTMLElement) => HTMLElement} */
const columnOf = (card) => /** @type {HTMLElement} */ (card.closest('.column'));
/** @type {(column: HTMLElement) => HTMLElement[]} */
const dealsIn = (column) => [...column.querySelectorAll('.deal')].map((deal) => /** @type {HTMLElement} */ (deal));
/** @type {(column: HTMLElement) => string} */
const stageOf = (column) => column.dataset.stage ?? '';
/** @type {(column: HTMLElement) => string} */
const titleOf = (column) => part(column, 'h2').textContent ?? '';
