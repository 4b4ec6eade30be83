/** The status page: the page's connection, its session on the server, the PHP process that answers, and the servers. */
import { client } from './page.js';

const [pageFacts, serverFacts, phpFacts, counters, topics, again] = ['page', 'server', 'php', 'counters', 'topics', 'refresh']
  .map((id) => /** @type {HTMLElement} */ (document.getElementById(id)));
/** Number of connections since the page was loaded. */
let connections = 0;

client.on('state', showPage);
client.on('connected', () => {
  connections += 1;
  showPage();
  askServer();
});
again.addEventListener('click', refresh);
showPage();
refresh();

function refresh() {
  askServer();
  askPhp();
  askAdmin();
}

function showPage() {
  fill(pageFacts, { State: client.state, 'Session id': client.sessionId ?? 'none', Connections: connections });
}

async function askServer() {
  try {
    fill(serverFacts, flat(/** @type {object} */ (await client.call('orosync/session'))));
  } catch (error) {
    fill(serverFacts, { Answer: /** @type {Error} */ (error).message });
  }
}

async function askPhp() {
  const response = await fetch('/status/php', { headers: { Accept: 'application/json' } });
  fill(phpFacts, response.ok ? flat(await response.json()) : { Answer: `${response.status} ${response.statusText}` });
}

async function askAdmin() {
  const response = await fetch('/status/server', { headers: { Accept: 'application/json' } });
  if (!response.ok) {
    fill(counters, { Answer: `${response.status} ${response.statusText}` });
    return;
  }
  /** @type {{ counters: Record<string, number>, topics: { pattern: string, subscribe: string, publish: string }[] }} */
  const answer = await response.json();
  fill(counters, Object.fromEntries(Object.entries(answer.counters).map(([name, value]) => [name, value.toLocaleString('en')])));
  topics.replaceChildren(...answer.topics.map(({ pattern, subscribe, publish }) => {
    const row = document.createElement('tr');
    for (const [name, label, value] of [['th', '', pattern], ['td', 'May subscribe', subscribe], ['td', 'May publish', publish]]) {
      const cell = document.createElement(name);
      cell.dataset.label = label;
      cell.textContent = value;
      row.append(cell);
    }
    /** @type {HTMLTableCellElement} */ (row.firstElementChild).scope = 'row';
    return row;
  }));
}

/** Flattens nested values. @type {(value: object, prefix?: string) => Record<string, unknown>} */
function flat(value, prefix = '') {
  return Object.entries(value).reduce((all, [name, inner]) => {
    const isGroup = typeof inner === 'object' && inner !== null && !Array.isArray(inner);
    return { ...all, ...(isGroup ? flat(inner, `${prefix}${name}.`) : { [prefix + name]: inner }) };
  }, {});
}

/** @param {HTMLElement} list @param {Record<string, unknown>} facts */
function fill(list, facts) {
  list.replaceChildren(...Object.entries(facts).map(([name, value]) => {
    const row = document.createElement('div');
    const term = document.createElement('dt');
    const description = document.createElement('dd');
    term.textContent = name;
    description.textContent = textOf(value);
    row.append(term, description);
    return row;
  }));
}

/** @type {(value: unknown) => string} */
function textOf(value) {
  if (value === null || value === '') {
    return 'none';
  }
  return Array.isArray(value) ? value.join(', ') || 'none' : String(value);
}
