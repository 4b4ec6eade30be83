/** The peers' names on the pages. */

/** @type {Record<string, string>} */
const NAMES = {
  orosync: 'Orosync',
  orosync_writev: 'Orosync without io_uring',
  orosync_broadcast: 'Orosync, to every page',
  quiet: 'Orosync, before the crowd',
  one_shard: 'Orosync, one shard',
  two_shards: 'Orosync, two shards',
  orosync_redis_same: 'Orosync on Redis, the publisher\'s node',
  orosync_redis_other: 'Orosync on Redis, another node',
  orosync_script_1: 'Orosync, 1 message a call',
  orosync_script_8: 'Orosync, 8 messages a call',
  orosync_script_32: 'Orosync, 32 messages a call',
  orosync_script_64: 'Orosync, 64 messages a call',
  raw_publish_1: 'raw limit: PUBLISH, one by one',
  raw_publish_32: 'raw limit: PUBLISH, 32 at once',
  raw_publish_2048: 'raw limit: PUBLISH, 2,048 at once',
  raw_ping: 'round trip of Redis: PING',
  raw_script: 'round trip of Redis: one message',
  raw_two_trips: 'Orosync and two round trips: PING',
  raw_two_calls: 'Orosync and two round trips: one message',
  raw_write: 'raw limit: one write for each',
  raw_batch: 'raw limit: one writev for all that waits',
  raw_uring: 'raw limit: io_uring',
  best_other_server: 'the best other server',
  bun: 'Bun',
  nats: 'NATS',
  nchan: 'NGINX with nchan',
  nginx: 'NGINX',
  ratchet: 'Ratchet',
  redis: 'Redis',
  socket_io: 'Socket.IO',
  socket_io_redis: 'Socket.IO\'s adapter for Redis',
  socket_io_redis_same: 'Socket.IO on Redis, the publisher\'s server',
  socket_io_redis_other: 'Socket.IO on Redis, another server',
  socketify: 'socketify',
  sockudo: 'sockudo',
  ws: 'ws on Node.js',
  json_encode: 'json_encode() alone',
  php: 'PHP',
  send: 'one send() of the same bytes',
  phpredis: 'phpredis PUBLISH',
  phpredis_persistent: 'phpredis PUBLISH, pconnect()',
  curl_nchan_kept: 'cURL to nchan, kept connection',
  curl_nchan_new: 'cURL to nchan, new connection',
  wamp_client: 'WAMP client as OroPlatform has it',
  wamp_client_no_delay: 'the same with TCP_NODELAY',
  oro_wamp_client: 'OroPlatform\'s own WAMP client',
  bare_socket: 'a bare socket from PHP to the reader',
  page: 'a page',
  the_same_page: 'the same page again',
  page_that_publishes: 'the page, publishing',
  page_with_phpredis: 'the page, publishing with phpredis',
  php_alone: 'PHP alone',
  php_with_orosync: 'PHP with the extension',
  php_with_redis: 'PHP with phpredis',
};

/** @type {(peer: string) => string} */
export const nameOf = (peer) => NAMES[peer] ?? peer.replaceAll('_', ' ');

/** Whether this peer is Orosync. @type {(peer: string) => boolean} */
export const isOurs = (peer) => /^orosync|^(one|two)_shards?$|_publishes$|_with_orosync$/.test(peer);

/** Whether this peer is a raw limit of the kernel or PHP, not a competitor. @type {(peer: string) => boolean} */
export const isLimit = (peer) => peer.startsWith('raw_') || ['json_encode', 'send', 'bare_socket', 'page', 'the_same_page', 'php_alone'].includes(peer);
