/**
 * What every page of the demo adds to its `<orosync-page>`: it shows the connection's state, and says who has changed what it
 * shows and where.
 */
import { showFlash } from '/bundles/orosynclive/index.js';
import { client } from '/bundles/orosynclive/page.js';

export { client };

const [{ transferSize }] = /** @type {PerformanceNavigationTiming[]} */ (performance.getEntriesByType('navigation'));
/**
 * How a topic is recovered whose events go on from what the document shows: since that was asked for. Where the browser has it
 * from its cache nobody knows when that was.
 */
export const isFromNetwork = transferSize > 0;
export const sinceDocument = isFromNetwork ? { recover: true, since: 0 } : { recover: true };

/** This page as it is now; null: nobody knows, which is said. @returns {Promise<Document | null>} */
export async function fetchAnew() {
  const response = await fetch(location.href).catch(() => null);
  // Redirected: to the login.
  if (response === null || !response.ok || response.redirected) {
    showFlash({ kind: 'outdated', certain: false });
    return null;
  }
  return new DOMParser().parseFromString(await response.text(), 'text/html');
}

/** What people read for each state of the client. */
const STATES = {
  closed: 'Not connected',
  asking: 'Connecting',
  opening: 'Connecting',
  open: 'Live',
  waiting: 'Reconnecting',
  refused: 'Not connected',
  suspended: 'Not connected',
};

/** Where that is shown. Turbo may have put another one there. */
const live = () => /** @type {HTMLElement} */ (document.getElementById('live'));

document.addEventListener('orosync-state', (event) => {
  /** @type {{ state: keyof typeof STATES }} */
  const { state } = /** @type {CustomEvent} */ (event).detail;
  const element = live();
  element.dataset.state = state;
  element.textContent = STATES[state];
});

// With several nodes people read which one they are on.
const { nodes: nodesUrl } = live().dataset;
if (nodesUrl !== undefined) {
  /** The numbers of the nodes by their names. @type {Record<string, number>} */
  let numbers = {};
  const showNode = async () => {
    const { session, node } = /** @type {{ session: string, node: string }} */ (await client.call('orosync/session'));
    if (numbers[node] === undefined) {
      numbers = await (await fetch(nodesUrl)).json();
    }
    if (client.sessionId === session) {
      live().textContent = `${STATES.open} on node ${numbers[node] ?? node}`;
    }
  };
  // What fails ends with the connection, and is done again with the next.
  client.on('connected', () => showNode().catch(() => {}));
}

document.addEventListener('orosync-outdated', (event) => {
  /** @type {{ tags: string[], userNames: (string | null)[], certain: boolean }} */
  const { tags, userNames, certain } = /** @type {CustomEvent} */ (event).detail;
  if (!certain) {
    return;       // The element says that nobody can know.
  }
  event.preventDefault();
  showFlash({ kind: 'outdated', texts: { message: `${authors(userNames)} changed what you see here.` } });
  markRows(tags);
});

// This page was rendered while maintenance was on: the notice in it goes when that is over.
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

/** In a list: shows which of the rows it was. @param {string[]} outdated */
function markRows(outdated) {
  for (const row of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll('[data-tags]'))) {
    /** @type {string[]} */
    const shown = JSON.parse(row.dataset.tags ?? '[]');
    row.classList.toggle('outdated', row.matches('.outdated') || shown.some((tag) => outdated.includes(tag)));
  }
}
