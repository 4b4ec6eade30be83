/** The page of an import: how far the worker is, as it tells. The stylesheet shows what there is to say of each state. */
import { client } from './page.js';

/** @typedef {{ state: 'waiting' | 'running' | 'done' | 'failed', done: number, total: number }} Progress */

const [section, bar, percent, done] = ['import', 'bar', 'percent', 'done']
  .map((id) => /** @type {HTMLElement} */ (document.getElementById(id)));
const { topic = '', stateUrl = '' } = section.dataset;

client.subscribe(topic, (payload) => show(/** @type {Progress} */ (payload)), { recover: true });
// What was told before the page listened does not come again, nor what is not kept any more.
const stopWaiting = client.on('connected', () => {
  stopWaiting();
  ask();
});
client.on('incomplete', ({ topic: incomplete }) => {
  if (incomplete === topic) {
    ask();
  }
});

/** How it stands. */
async function ask() {
  const response = await fetch(stateUrl, { headers: { Accept: 'application/json' } });
  if (response.ok) {
    show(await response.json());
  }
}

/** What is over stays over: the answer to a question may be older than what was told meanwhile. @param {Progress} progress */
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
