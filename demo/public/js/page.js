/**
 * Script of every page: shows the state of the connection, and who has changed the content.
 */
import { showFlash } from '/bundles/orosynclive/index.js';
import { client } from '/bundles/orosynclive/page.js';

export { client };

const [{ transferSize }] = /** @type {PerformanceNavigationTiming[]} */ (performance.getEntriesByType('navigation'));
/**
 * Options for a topic whose events continue the content of the document: recover since its request. For a document from the
 * browser's cache the time is unknown.
 */
export const isFromNetwork = transferSize > 0;
export const sinceDocument = isFromNetwork ? { recover: true, since: 0 } : { recover: true };

/** Loads the current version of this page; null: failed, which is shown. @returns {Promise<Document | null>} */
export async function fetchCurrent() {
  const response = await fetch(location.href).catch(() => null);
  // A redirect leads to the login.
  if (response === null || !response.ok || response.redirected) {
    showFlash({ kind: 'outdated', isCertain: false });
    return null;
  }
  return new DOMParser().parseFromString(await response.text(), 'text/html');
}

/** Text for each state of the client. */
const STATES = {
  closed: 'Not connected',
  'requesting-ticket': 'Connecting',
  connecting: 'Connecting',
  connected: 'Live',
  'backing-off': 'Reconnecting',
  refused: 'Not connected',
  suspended: 'Not connected',
};

/** The element that shows it. Looked up each time, because Turbo may replace it. */
const live = () => /** @type {HTMLElement} */ (document.getElementById('live'));

document.addEventListener('orosync-state', (event) => {
  /** @type {{ state: keyof typeof STATES }} */
  const { state } = /** @type {CustomEvent} */ (event).detail;
  const element = live();
  element.dataset.state = state;
  element.textContent = STATES[state];
});

// With several nodes, the badge shows the node.
const { nodes: nodesUrl } = live().dataset;
if (nodesUrl !== undefined) {
  /** Numbers of the nodes by name. @type {Record<string, number>} */
  let numbers = {};
  const showNode = async () => {
    const { session, node } = /** @type {{ session: string, node: string }} */ (await client.call('orosync/session'));
    if (numbers[node] === undefined) {
      numbers = await (await fetch(nodesUrl)).json();
    }
    if (client.sessionId === session) {
      live().textContent = `${STATES.connected} on node ${numbers[node] ?? node}`;
    }
  };
  // Errors are ignored: the next connection tries again.
  client.on('connected', () => showNode().catch(() => {}));
}

document.addEventListener('orosync-outdated', (event) => {
  /** @type {{ tags: string[], userNames: (string | null)[], isCertain: boolean }} */
  const { tags, userNames, isCertain } = /** @type {CustomEvent} */ (event).detail;
  if (!isCertain) {
    return;       // The element shows its own message.
  }
  event.preventDefault();
  showFlash({ kind: 'outdated', texts: { message: `${authors(userNames)} changed what you see here.` } });
  markRows(tags);
});

// The page was rendered during maintenance: its notice is removed at the end.
client.subscribe('oro/maintenance', (payload) => {
  const notice = document.getElementById('maintenance');
  if (notice !== null) {
    notice.hidden = !(/** @type {{ isOn: boolean }} */ (payload).isOn);
  }
});

document.addEventListener('submit', (event) => {
  const { confirm: question } = /** @type {HTMLFormElement} */ (event.target).dataset;
  if (question !== undefined && !window.confirm(question)) {
    event.preventDefault();
  }
});

/** @type {(userNames: (string | null)[]) => string} */
function authors(userNames) {
  const names = userNames.map((name) => (name === null ? 'Somebody' : name[0].toUpperCase() + name.slice(1)));
  return new Intl.ListFormat('en').format(names);
}

/** Marks the outdated rows of a list. @param {string[]} outdated */
function markRows(outdated) {
  for (const row of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll('[data-tags]'))) {
    /** @type {string[]} */
    const shown = JSON.parse(row.dataset.tags ?? '[]');
    row.classList.toggle('outdated', row.matches('.outdated') || shown.some((tag) => outdated.includes(tag)));
  }
}
