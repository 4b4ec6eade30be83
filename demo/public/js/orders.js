/** A customer's page with live orders. The ticket grants the topic of the customer's company. */
import { showFlash } from '/bundles/orosynclive/index.js';

import { client, fetchCurrent, isFromNetwork, sinceDocument } from './page.js';

/** @typedef {{ id: number, name: string, value: number, stage: string | null }} Order  `stage`: null if deleted */

const orders = /** @type {HTMLElement} */ (document.getElementById('orders'));
const said = /** @type {HTMLElement} */ (document.getElementById('said'));

const { topic: topicOfOrders = '' } = orders.dataset;

/** Events received during reloads, one list per reload. @type {Set<Order[]>} */
const heard = new Set();

client.subscribe(topicOfOrders, (payload) => {
  const order = /** @type {Order} */ (payload);
  heard.forEach((orders) => orders.push(order));
  hear(order);
}, sinceDocument);
client.on('incomplete', ({ topic }) => {
  if (topic === topicOfOrders) {
    reload();
  }
});
if (!isFromNetwork) {
  reload();
}

/** @param {Order} order */
function hear(order) {
  const article = /** @type {HTMLElement | null} */ (orders.querySelector(`[data-order="${order.id}"]`));
  if (order.stage === null) {
    article?.remove();
    say(`${order.name} was withdrawn.`);
  } else if (article === null) {
    showFlash({ kind: 'outdated', texts: { message: `There is a new order: ${order.name}.` } });
  } else {
    show(article, order);
  }
}

async function reload() {
  /** @type {Order[]} */
  const meanwhile = [];
  heard.add(meanwhile);
  const fresh = await fetchCurrent();
  heard.delete(meanwhile);
  if (fresh !== null) {
    orders.replaceChildren(.../** @type {HTMLElement} */ (fresh.getElementById('orders')).children);
    // The loaded page may be older than these events.
    meanwhile.forEach(hear);
  }
}

/** @param {HTMLElement} article @param {Order} order */
function show(article, order) {
  article.dataset.stage = order.stage ?? '';
  /** @type {HTMLElement} */ (article.querySelector('h2')).textContent = order.name;
  /** @type {HTMLElement} */ (article.querySelector('.order-value')).textContent = `€ ${new Intl.NumberFormat('en').format(order.value)}`;
  let news = 'Closed';
  for (const step of /** @type {NodeListOf<HTMLElement>} */ (article.querySelectorAll('.track li'))) {
    step.removeAttribute('aria-current');
    if (step.dataset.stage === order.stage) {
      step.setAttribute('aria-current', 'step');
      news = step.textContent ?? '';
    }
  }
  article.classList.remove('moved');
  article.getBoundingClientRect();       // forces a layout, which restarts the animation
  article.classList.add('moved');
  say(`${order.name}: ${news}`);
}

/** @param {string} text */
function say(text) {
  said.textContent = text;
  said.classList.add('news');
}
