/**
 * The questions, in the order of the page: what was asked, in which picture, and beside what.
 */

/** @import { Case } from './results.js' */

/**
 * @typedef {object} Question
 * @property {string} id  of its result, and of its picture
 * @property {string[]} also  further results of the same run
 * @property {string} asked
 * @property {[RegExp, string][]} beside  which peer is one in the picture, by the case's name; none: absolute figures
 * @property {RegExp} pictured  the cases in the picture
 * @property {string} reading  what a reader must know to read it rightly, whatever the figures are
 */

/** @type {Question[]} */
export const QUESTIONS = [
  {
    id: 'publish',
    also: [],
    asked:
      'How long does a publishing call keep the script? Wall time in PHP, opcache on; the server and its peers have one core, PHP the others. A burst is one call after another; "after idle" is the first call of a request that comes 10 ms after the one before, connecting included where the client connects in each request.',
    beside: [[/burst|request/, 'json_encode'], [/./, 'orosync']],
    pictured: /^(burst|first of a request).*(small|tags)$/,
    reading:
      'A call encodes the payload and puts it into a queue; a thread of the process does the rest. The first call after a pause also wakes that thread, and finds cold caches, as any code does then. Everybody else waits for an answer, or at least for the kernel.',
  },
  {
    id: 'system_calls',
    also: [],
    asked:
      'Does the call enter the kernel? System calls of the script\'s own thread, counted by strace, per 1,000 messages: in a burst, with 0.3 ms between messages (the link thread naps), and with 5 ms between them (it sleeps and has to be woken).',
    beside: [],
    pictured: /./,
    reading: 'The one system call that is left wakes the sleeping link thread.',
  },
  {
    id: 'publish_to_browser',
    also: [],
    asked:
      'How long is it from the first message of a request to the browser\'s event? Each message carries the time of its publishing call. Requests of one FPM worker whose connection was idle for 5 ms, so that every thread on the way sleeps; the same where OroPlatform\'s client connects in each request, as it does in an application; and new processes, which connect first.',
    beside: [[/./, 'bare_socket']],
    pictured: /./,
    reading:
      'The script waits for none of it with Orosync; it waits for the connection, and for the write, with the WAMP client. The bare socket is what the kernel takes without a server.',
  },
  {
    id: 'page',
    also: [],
    asked:
      'Does a page of PHP-FPM behind NGINX take longer because it publishes? A page of less than a millisecond, measured in turn with itself and with the same page that publishes once before it is rendered; all processes share the machine\'s cores.',
    beside: [[/./, 'page']],
    pictured: /./,
    reading:
      'Two equal pages never measure the same; what publishing adds is compared with how much they differ. The script itself waits for nothing (see above); what is in the page\'s time besides is the CPU time of link thread and server, where they share busy cores with it.',
  },
  {
    id: 'second_message',
    also: [],
    asked:
      'A request publishes three messages: when has a browser each of them? OroPlatform\'s own client leaves Nagle\'s algorithm on, so the kernel keeps its second message back until the first is acknowledged.',
    beside: [],
    pictured: /./,
    reading:
      'Where the second message of the WAMP client takes 40 ms and more, the delayed acknowledgement of the kernel is in it; where it takes no longer than with TCP_NODELAY, it is not.',
  },
  {
    id: 'fan_out',
    also: ['fan_out_rate'],
    asked:
      'What does it cost to write one published message to all its subscribers? CPU time of the server, user and kernel, for each delivery. "In flight" is how many messages are not yet at all subscribers: with 1 there is nothing to batch, with 32 there is.',
    beside: [[/ 1 in flight/, 'raw_write'], [/./, 'raw_batch']],
    pictured: /^(1,000 subscribers, 120 bytes|10,000 subscribers, 120 bytes|1,000 subscribers, 1,?000 bytes)/,
    reading:
      'A lone message costs a system call for each socket, whoever makes it; what waits for a socket together leaves in one. So a comparison says something only with both.',
  },
  {
    id: 'latency',
    also: [],
    asked: 'An idle server, ten messages a second: when has the first, the median and the last of 1,000 subscribers the message?',
    beside: [],
    pictured: /^(first|median|last), p(50|99)$/,
    reading:
      'The time to the last subscriber is the number of sessions times the cost of a delivery, on each shard: more shards make it shorter. The load generator\'s own reading is in all of these figures.',
  },
  {
    id: 'shards',
    also: ['shards_rate'],
    asked: 'What does a second shard, on a second core, bring?',
    beside: [[/./, 'one_shard']],
    pictured: /./,
    reading:
      'On a machine with as many cores as shards the load generator takes its part of them; then the CPU per delivery says whether the second shard costs anything, and the rate says little.',
  },
  {
    id: 'growth',
    also: [],
    asked: 'Does the cost of a delivery stay the same when there are more sessions?',
    beside: [],
    pictured: /./,
    reading: 'The kernel\'s own structures leave the caches as well: the raw limit grows too.',
  },
  {
    id: 'handshakes',
    also: ['handshake_rate'],
    asked: 'What does a session\'s beginning cost the server: accept, HTTP upgrade, a ticket whose signature is verified, and a subscription?',
    beside: [[/./, 'raw_write']],
    pictured: /./,
    reading: 'The raw limit accepts and upgrades, and verifies nothing.',
  },
  {
    id: 'memory',
    also: ['kernel_memory'],
    asked: 'What does an idle session cost, with its identity and one subscription? Growth of the server\'s resident memory, and of the kernel\'s.',
    beside: [],
    pictured: /./,
    reading: 'The kernel\'s memory for a connection comes on top, for every server alike.',
  },
  {
    id: 'saves',
    also: ['save_deliveries'],
    asked:
      'What does a save cost in an office with so many pages open? Each page shows five records, and each record is shown by five pages; a save names the record and the list that it stands in. CPU time of the server for each save: by tags, as our browser client asks for them; to every page, as OroPlatform\'s JavaScript does; and of servers with a channel for each tag, where whoever saves publishes to two.',
    beside: [],
    pictured: /^10,000 pages/,
    reading:
      'By tags a save costs the pages that show the record, and the others learn nothing of it. The message itself, its place in the history and its acknowledgement are in the figures of Orosync; the others keep and acknowledge nothing.',
  },
  {
    id: 'recovery',
    also: ['recovery_cpu'],
    asked:
      'The server was restarted, and all sessions come back within five seconds: what do 100 others notice that get 50 messages a second, and what does it cost the server that each recovers the 20 events that it missed?',
    beside: [],
    pictured: /./,
    reading:
      'The load generator opens the sessions and reads the events of the others on the same core: what that takes is in the latencies. A session that only subscribes pays for its handshake; what recovery adds is the difference.',
  },
  {
    id: 'history',
    also: [],
    asked:
      'What does history cost in memory? Growth of the server\'s resident memory, beside the payload of each event; and for each content tag that a page has named.',
    beside: [],
    pictured: /./,
    reading: 'The allocator rounds what it gives: an event of 1,000 bytes and its head share a place of 1,280.',
  },
  {
    id: 'nodes_script',
    also: [],
    asked:
      'Several nodes share their messages over Redis. What does one message cost Redis, which a script accepts once and in order, keeps and pushes to the nodes? CPU time of Redis, which has one core for this; beside it a plain PUBLISH, which neither keeps nor numbers anything, with so many at once before the answers are read.',
    beside: [[/./, 'raw_publish_32']],
    pictured: /./,
    reading:
      'A node puts what is published within the same moment into one call, up to 64 messages: the busier it is, the cheaper is each. A call costs what its commands cost, and each byte of a message what Redis\' Lua takes to hash it.',
  },
  {
    id: 'nodes',
    also: ['nodes_rate'],
    asked:
      'How long is it from a publisher to a browser, where one or two nodes and Redis are between them? Wall time, each message to idle servers. Beside it one node without Redis, Redis\' own round trip, and Socket.IO with its adapter for Redis.',
    beside: [[/./, 'orosync']],
    pictured: /p50$/,
    reading:
      'Nodes and Redis share one core here, and each of them has to be woken: on machines of their own it is the network\'s time instead. Socket.IO keeps, numbers and acknowledges nothing, and hands what is for its own sessions over without waiting for Redis.',
  },
  {
    id: 'nodes_cpu',
    also: [],
    asked:
      'What does a delivery cost a node on Redis, and what do messages cost it that nobody there has subscribed to? CPU time of the node that the sessions are at.',
    beside: [[/delivery/, 'orosync']],
    pictured: /delivery/,
    reading:
      'Each message comes from Redis once, however many sessions the node has: what a delivery costs is not changed by that. A topic is subscribed to in Redis only where a session wants it.',
  },
  {
    id: 'nodes_topics',
    also: ['nodes_topics_memory'],
    asked:
      'A node whose sessions subscribe to very many topics: how long until each subscription is answered, how long until Redis pushes all of them again after it has cut the connection, and what does the sweep cost by which a node finds every 15 seconds what it was not told?',
    beside: [],
    pictured: /./,
    reading: 'A sweep asks where 500 topics stand with each call; Redis serves others between two of them.',
  },
  {
    id: 'start_up',
    also: [],
    asked: 'How long is it until the server answers /readyz, and what does the extension add to the start of PHP?',
    beside: [],
    pictured: /./,
    reading: 'The other servers count as started when they take a connection.',
  },
];

/**
 * The peer that is one: what the question names for this case, if it was measured and is more than nothing.
 *
 * @param {Question} question
 * @param {Case} one
 */
export const referenceOf = (question, one) => {
  const named = question.beside.find(([pattern]) => pattern.test(one.name))?.[1];
  return one.rows.find((row) => row.peer === named && row.median > 0);
};
