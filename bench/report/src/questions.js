/**
 * The questions in the order of the page: what was measured, what the chart shows, and what it compares with.
 */

/** @import { Case } from './results.js' */

/**
 * @typedef {object} Question
 * @property {string} id  id of its result and of its chart
 * @property {string[]} also  further results of the same run
 * @property {string} asked  what was measured
 * @property {[RegExp, string][]} beside  the reference peer of the chart by the case's name; if empty, figures are absolute
 * @property {RegExp} pictured  the cases in the chart
 * @property {string} reading  how to interpret the figures, whatever their values
 */

/** @type {Question[]} */
export const QUESTIONS = [
  {
    id: 'publish',
    also: [],
    asked:
      'Wall time of a publishing call in PHP, opcache on. The servers share one core; PHP has the others. A burst is one call after another. "After idle" is the first call of a request that comes 10 ms after the one before; it includes connecting where the client connects in each request.',
    beside: [[/burst|request/, 'json_encode'], [/./, 'orosync']],
    pictured: /^(burst|first of a request).*(small|tags)$/,
    reading:
      'A call encodes the payload and puts it into a queue. In a burst the link thread does the rest. The first call after a pause sends the message itself or wakes that thread, with cold caches. All other ways wait for an answer, or at least for the kernel.',
  },
  {
    id: 'system_calls',
    also: [],
    asked:
      'System calls of the script\'s own thread per 1,000 messages, counted by strace: in a burst, with 0.3 ms between messages (the link thread naps), and with 5 ms between them (it sleeps).',
    beside: [],
    pictured: /./,
    reading:
      'The remaining system calls: while the link thread sleeps, the call sends the message itself or wakes the thread.',
  },
  {
    id: 'publish_to_browser',
    also: [],
    asked:
      'Time from the first publishing call of a request to the browser\'s event. Each message carries the time of its call. "Connection open": requests of one FPM worker whose connection was idle for 5 ms, so every thread on the way sleeps. "Connecting included": OroPlatform\'s client connects in each request, as it does in an application, while Orosync keeps its link. "A new process": both connect.',
    beside: [[/./, 'bare_socket']],
    pictured: /./,
    reading:
      'With Orosync the script does not wait for any of this; with the WAMP client it waits for the connection and for each write. The bare socket shows the kernel\'s time without a server.',
  },
  {
    id: 'page',
    also: [],
    asked:
      'Time of a page of PHP-FPM behind NGINX, without publishing (twice), publishing once before it is rendered, and doing so with phpredis over a connection that each worker keeps. Nobody has subscribed. All processes share the machine\'s cores.',
    beside: [[/./, 'page']],
    pictured: /./,
    reading:
      'Two equal pages differ by noise. The addition by publishing is compared with that difference, and with a fifth of the addition by phpredis. With Orosync the script does not wait. The CPU time of link thread and server matters where they share busy cores with the page.',
  },
  {
    id: 'second_message',
    also: [],
    asked:
      'Time from each of three publishing calls of one request to the browser\'s event. OroPlatform\'s client leaves Nagle\'s algorithm on: the kernel holds its second message back until the first is acknowledged.',
    beside: [],
    pictured: /./,
    reading:
      'A delay of 40 ms in the second message of the WAMP client is the kernel\'s delayed acknowledgement. The server asks for quick acknowledgements, so there should be none.',
  },
  {
    id: 'fan_out',
    also: ['fan_out_rate'],
    asked:
      'CPU time of the server, user and kernel, for each delivery of a published message. "In flight" is the number of messages that not all subscribers have received: with 1 nothing can be batched, with 32 much can.',
    beside: [[/ 1 in flight/, 'raw_write'], [/./, 'raw_batch']],
    pictured: /^(1,000 subscribers, 120 bytes|10,000 subscribers, 120 bytes|1,000 subscribers, 1,?000 bytes)/,
    reading:
      'A lone event costs one system call or `io_uring` request per socket; messages that wait for the same socket are written with one call. To compare two servers, look at both cases.',
  },
  {
    id: 'latency',
    also: [],
    asked:
      'Time from a publish to the first, the median and the last of 1,000 subscribers. The server is idle and gets ten messages of 120 bytes a second.',
    beside: [],
    pictured: /^(first|median|last), p(50|99)$/,
    reading:
      'The time to the last subscriber is the number of sessions on its shard times the cost of a delivery, so more shards shorten it. The figures include the load generator\'s reading, for all servers alike.',
  },
  {
    id: 'shards',
    also: ['shards_rate'],
    asked:
      'CPU time for each delivery and deliveries per second, with one shard and with two, on the same cores.',
    beside: [[/./, 'one_shard']],
    pictured: /./,
    reading:
      'On a machine with two cores the load generator shares them; then only the CPU time is meaningful.',
  },
  {
    id: 'growth',
    also: [],
    asked:
      'CPU time for each delivery, from 100 subscribers of a topic to 10,000.',
    beside: [],
    pictured: /./,
    reading:
      'The kernel\'s structures do not fit into the CPU caches either, so the raw limit grows too.',
  },
  {
    id: 'crowds',
    also: [],
    asked:
      'Milliseconds from a publish to each of 200 sessions, 99th percentile, while a crowd of other clients acts on the same server.',
    beside: [[/./, 'quiet']],
    pictured: /./,
    reading:
      'The crowds: 1,000 sessions subscribe to 100 topics each, they leave, and 5,000 connections open and close.',
  },
  {
    id: 'handshakes',
    also: ['handshake_rate'],
    asked:
      'CPU time of the server to open a session: accept, HTTP upgrade, verification of the ticket\'s signature, and a subscription.',
    beside: [[/./, 'raw_write']],
    pictured: /./,
    reading:
      'The raw limit accepts and upgrades; it verifies nothing.',
  },
  {
    id: 'memory',
    also: ['kernel_memory'],
    asked:
      'Memory of an idle session with its identity and one subscription: growth of the server\'s resident memory, and of the kernel\'s.',
    beside: [],
    pictured: /./,
    reading:
      'The kernel\'s memory for a connection is additional, for every server alike.',
  },
  {
    id: 'saves',
    also: ['save_deliveries'],
    asked:
      'CPU time of the server for each save, by the number of open pages. Each page shows five records, and each record is shown by five pages; a save names the record and its list. Compared: delivery by content tags, as with our browser client; delivery to every page, as with OroPlatform\'s JavaScript; and servers with a channel for each tag, where a save is published to two channels.',
    beside: [],
    pictured: /^10,000 pages/,
    reading:
      'By tags a save reaches only the pages that show the record. Orosync\'s figures include history and acknowledgement; the others store and acknowledge nothing.',
  },
  {
    id: 'recovery',
    also: ['recovery_cpu'],
    asked:
      'After a restart of the server all sessions reconnect within five seconds. Latency of 100 other sessions that get 50 messages a second, and CPU time for each session that reconnects, subscribes, and recovers the 20 events that it missed.',
    beside: [],
    pictured: /./,
    reading:
      'The load generator opens the sessions and reads the events of the others on one core, so the latencies include its own work. The cost of recovery is the difference between the two rows of CPU time.',
  },
  {
    id: 'history',
    also: [],
    asked:
      'Memory of the history: growth of the server\'s resident memory for each event, less its payload; and for each content tag that a page has named.',
    beside: [],
    pictured: /./,
    reading:
      'The allocator rounds up to its size classes: an event of 1,000 bytes and its head take 1,280.',
  },
  {
    id: 'nodes_script',
    also: [],
    asked:
      'CPU time of Redis, on its own core, for each message that several nodes share: a script accepts it once and in order, stores it and pushes it to the nodes. Compared with a plain PUBLISH, which neither stores nor numbers messages, by the number of commands sent before their answers are read.',
    beside: [[/./, 'raw_publish_32']],
    pictured: /./,
    reading:
      'A node batches up to 64 waiting messages in one call: the busier it is, the cheaper each message gets.',
  },
  {
    id: 'nodes',
    also: ['nodes_rate'],
    asked:
      'Wall time from a publisher to a browser, each message to idle servers, with one or two nodes and Redis between them. Compared with one node without Redis, with the round trip of Redis itself, and with Socket.IO and its adapter for Redis.',
    beside: [[/./, 'orosync']],
    pictured: /p50$/,
    reading:
      'Nodes and Redis share one core here and wake each other; on separate machines the network\'s latency takes that place. Socket.IO does not store, number or acknowledge messages, and serves its own sessions without waiting for Redis.',
  },
  {
    id: 'nodes_cpu',
    also: [],
    asked:
      'CPU time of a node on Redis for each delivery, and for each message of topics that none of its sessions has subscribed to.',
    beside: [[/delivery/, 'orosync']],
    pictured: /delivery/,
    reading:
      'A node receives each message from Redis once, however many sessions it has. It subscribes to a topic in Redis only if one of its sessions does.',
  },
  {
    id: 'nodes_topics',
    also: ['nodes_topics_memory'],
    asked:
      'A node whose sessions subscribe to 100,000 topics: time until each subscription is answered, time until Redis pushes all of them again after it has cut the connection, and the cost of the sweep that looks every 15 seconds for missed events.',
    beside: [],
    pictured: /./,
    reading:
      'A sweep checks 500 topics with each call; Redis serves other clients between two calls.',
  },
  {
    id: 'start_up',
    also: [],
    asked:
      'Time until the server answers `/readyz`, and what the extension adds to the start of PHP.',
    beside: [],
    pictured: /./,
    reading:
      'The other servers count as started when they accept a connection.',
  },
];

/**
 * The reference peer of this case, if it was measured and is above zero.
 *
 * @param {Question} question
 * @param {Case} one
 */
export const referenceOf = (question, one) => {
  const named = question.beside.find(([pattern]) => pattern.test(one.name))?.[1];
  return one.rows.find((row) => row.peer === named && row.median > 0);
};
