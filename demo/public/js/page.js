/**
 * What every page of the demo does: connects, shows the connection's state, says when its content was changed by somebody
 * else and when the site goes into maintenance.
 */
import { ContentTracker, Maintenance, OrosyncClient, showFlash } from '/orosync/index.js';

const { client: settings = '', contentTags = '' } = document.body.dataset;
const { url, ticketUrl, userName, userId } = JSON.parse(settings);
const live = /** @type {HTMLElement} */ (document.getElementById('live'));

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

export const client = new OrosyncClient({ url, ticketUrl });

client.on('state', (state) => {
  live.dataset.state = state;
  live.textContent = STATES[state];
});

const tags = JSON.parse(contentTags);
if (tags.length > 0) {
  new ContentTracker(client, { userName }).tagContent(tags, (outdated) => {
    showFlash({ kind: 'outdated', texts: { message: `${authors(outdated.userNames)} changed what you see here.` } });
    markRows(outdated.tags);
  });
}

/** Takes the maintenance message away again. */
let dismissMaintenance = () => {};
new Maintenance(client, {
  userId,
  onChange: (isOn) => {
    dismissMaintenance();
    dismissMaintenance = isOn ? showFlash({ kind: 'maintenance' }) : () => {};
  },
});

// This page was rendered while maintenance was on: the notice in it goes when that is over.
const notice = document.getElementById('maintenance');
if (notice !== null) {
  client.subscribe('oro/maintenance', (payload) => {
    notice.hidden = !(/** @type {{ isOn: boolean }} */ (payload).isOn);
  });
}

client.connect();

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
