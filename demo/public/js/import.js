/** The page of an import: shows the progress that the worker publishes. The stylesheet selects the text of each state. */
import { client } from './page.js';

/** @typedef {{ state: 'waiting' | 'running' | 'done' | 'failed', done: number, total: number }} Progress */

const [section, bar, percent, done] = ['import', 'bar', 'percent', 'done']
  .map((id) => /** @type {HTMLElement} */ (document.getElementById(id)));
const { topic = '', stateUrl = '' } = section.dataset;

client.subscribe(topic, (payload) => show(/** @type {Progress} */ (payload)), { recover: true });
// Events from before the subscription, or no longer kept, are not delivered.
const stopWaiting = client.on('connected', () => {
  stopWaiting();
  ask();
});
client.on('incomplete', ({ topic: incomplete }) => {
  if (incomplete === topic) {
    ask();
  }
});

/** Loads the current state. */
async function ask() {
  const response = await fetch(stateUrl, { headers: { Accept: 'application/json' } });
  if (response.ok) {
    show(await response.json());
  }
}

/**
 * Shows progress, unless the import has ended: an answer may be older than the events received meanwhile.
 *
 * @param {Progress} progress
 */
function show(progress) {
  const isOver = ['done', 'failed'].includes(section.dataset.state ?? '');
  const progressBar = /** @type {HTMLProgressElement} */ (bar);
  if (isOver || (progress.state === 'running' && progress.done < progressBar.value)) {
    return;
  }
  section.dataset.state = progress.state;
  progressBar.value = progress.done;
  percent.textContent = `${Math.floor((100 * progress.done) / progress.total)} %`;
  done.textContent = new Intl.NumberFormat('en').format(progress.done);
}
