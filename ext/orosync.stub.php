<?php

/**
 * What `orosync.so` adds to PHP, for editors and static analysis. Not loaded at run time.
 *
 * The functions publish with the settings of php.ini (all of them PHP_INI_SYSTEM, read on first use):
 *
 * | setting | default | meaning |
 * | --- | --- | --- |
 * | orosync.endpoint | ws://127.0.0.1:8080/ | address of the server: ws://host:port/, wss://host/ or unix:/path/to/socket; or several nodes of a cluster, separated by spaces or commas |
 * | orosync.ca_file | none | PEM file of certificate authorities, the only ones trusted for a wss:// server; none: the system's |
 * | orosync.secret_file, orosync.secret | none | the secret shared with the server, at least 32 bytes; set only one of the two |
 * | orosync.queue_messages | 10000 | maximum number of messages in the queue, including unacknowledged ones |
 * | orosync.queue_bytes | 16M | maximum size of the queue, at least 2M |
 * | orosync.connect_timeout | 2.0 | seconds from the first packet to the server's welcome |
 * | orosync.shutdown_timeout | 1.0 | seconds to wait for acknowledgements at the end of a process |
 *
 * Without a secret in php.ini, the server's environment variables are used: OROSYNC_AUTH__SECRET_FILE, then
 * OROSYNC_AUTH__SECRET.
 *
 * With several endpoints, a publisher starts with a random one and fails over to the next. PHP's error log warns if the
 * endpoints are not nodes of one cluster.
 *
 * PHP's error log gets one line per outage, and one at the end of a process for messages that were not delivered. Nothing is
 * ever written into a page.
 */

namespace {
    /** The extension's version. */
    const OROSYNC_VERSION = '0.1.0';

    /**
     * Queues a message for delivery to every session subscribed to the topic. Never waits for the network.
     *
     * @param string $topic   1 to 255 bytes of UTF-8, for example `oro/data/update`
     * @param mixed  $payload any value that json_encode() accepts; at most 1 MiB encoded
     * @param array{exclude?: list<string>, eligible?: list<string>} $options WAMP session ids that do not receive
     *                        it, or the only ones that do (an empty list means all); `exclude` takes precedence
     *
     * @return bool false if the queue is full (counted as `refused`)
     *
     * @throws \Orosync\Exception\EncodingException      the topic or the payload is invalid
     * @throws \Orosync\Exception\ConfigurationException a setting is invalid
     */
    function orosync_publish(string $topic, mixed $payload, array $options = []): bool {}

    /**
     * Queues many messages, each `[topic, payload, options?]`. Stops at the first one that does not fit in the queue.
     *
     * @param iterable<array{0: string, 1: mixed, 2?: array{exclude?: list<string>, eligible?: list<string>}}> $messages
     *
     * @return int number of accepted messages
     *
     * @throws \Orosync\Exception\EncodingException      a message is invalid; those before it were accepted
     * @throws \Orosync\Exception\ConfigurationException a setting is invalid
     */
    function orosync_publish_many(iterable $messages): int {}

    /**
     * Ends sessions on every node at once, for example after a logout, a change of password or role, or a deactivation: a
     * session outlives the ticket that opened it. The browser reconnects if the application issues it a new ticket. The command
     * is queued, acknowledged and counted like a message.
     *
     * @param array{role: 'user'|'customer'|'anonymous', uid: int|string}|array{role: 'user'|'customer'|'anonymous', user: string}|array{session: string} $who
     *                        all sessions whose ticket has this role and this `uid`, or this role and this name (`sub`); or
     *                        the session with this WAMP session id
     *
     * @return bool false if the queue is full (counted as `refused`)
     *
     * @throws \Orosync\Exception\EncodingException      none or several of the forms are given, or a value is invalid
     * @throws \Orosync\Exception\ConfigurationException a setting is invalid
     */
    function orosync_disconnect(array $who): bool {}

    /**
     * Waits until the server has acknowledged all messages that this process has accepted.
     *
     * @param float $timeout seconds
     *
     * @return bool false on timeout, or at once if the server refuses this publisher
     *
     * @throws \Orosync\Exception\ConfigurationException a setting is invalid
     */
    function orosync_flush(float $timeout = 1.0): bool {}

    /**
     * Checks that the server is reachable and accepts this publisher: connects, or pings the server over the open
     * connection.
     *
     * @param float $timeout seconds
     *
     * @return bool false on timeout, or at once if the server refuses this publisher
     *
     * @throws \Orosync\Exception\ConfigurationException a setting is invalid
     */
    function orosync_check(float $timeout = 1.0): bool {}

    /**
     * Issues a browser's one-time ticket for `?ticket=`.
     *
     * @param array{sub?: ?string, uid?: int|string|null, org?: ?int, role?: 'user'|'customer'|'anonymous'|null,
     *              roles?: list<string>|null, topics?: list<string>|null, patterns?: list<string>|null,
     *              origins?: list<string>|null, until?: ?int} $claims user name, user id (an int or a string of up to
     *                   100 bytes), organization id; roles of the user in the application, for policies such as
     *                   `role:ROLE_SALES` (at most 32); topics and topic patterns granted under the server's
     *                   policy `granted` (at most 50 together); the only hosts whose pages may use the ticket, written
     *                   as in `auth.allowed_origins` (at most 16; none: any); the Unix time from which each connection
     *                   needs a new ticket; null claims are omitted; without a role: anonymous
     * @param int $ttl seconds until it expires, at most 86400
     *
     * @throws \Orosync\Exception\EncodingException      a claim or the ttl is invalid
     * @throws \Orosync\Exception\ConfigurationException a setting is invalid
     */
    function orosync_ticket(array $claims = [], int $ttl = 300): string {}

    /**
     * Returns the state of this process's connection, without I/O. Always: accepted = acknowledged + unacknowledged + queued.
     * `last_error` remains after the connection has recovered. The state is `refused` instead of `backing-off` if the server does
     * not accept this publisher, usually because of a different secret. With several endpoints, `endpoint` is the one in use
     * (all of them before the first message), and `last_error` begins with the one that it is about.
     *
     * @return array{state: 'idle'|'connecting'|'connected'|'backing-off'|'refused'|'closed', endpoint: string, queued: int,
     *               unacknowledged: int, accepted: int, acknowledged: int, refused: int, reconnects: int,
     *               last_error: ?string}
     *
     * @throws \Orosync\Exception\ConfigurationException a setting is invalid
     */
    function orosync_status(): array {}

    /**
     * Returns the topics whose messages the server acknowledged but did not deliver, because it does not know the topic or does
     * not allow publishing to it: the latest 32 of this process, latest first. No I/O: call `orosync_flush()` before to include
     * messages just published. One acknowledgement covers a batch: it names the first refused topic, and `messages` is the number
     * of messages refused in the batch.
     *
     * @return list<array{topic: string, reason: string, messages: int}>
     *
     * @throws \Orosync\Exception\ConfigurationException a setting is invalid
     */
    function orosync_refusals(): array {}
}

namespace Orosync {
    /**
     * The functions as methods, for several endpoints in one process. Publishers with equal settings share one connection,
     * which stays open from request to request. A process has at most 32 publishers with different settings.
     */
    final class Publisher
    {
        /**
         * @param string $endpoint `ws://host:port/`, `wss://...` or `unix:/path/to/socket`
         * @param array{secret?: string, secret_file?: string, ca_file?: string, queue_messages?: int,
         *              queue_bytes?: int, connect_timeout?: float, shutdown_timeout?: float} $options missing ones come from php.ini
         *
         * @throws Exception\ConfigurationException
         */
        public function __construct(string $endpoint, array $options = []) {}

        /** @see \orosync_publish() */
        public function publish(string $topic, mixed $payload, array $options = []): bool {}

        /** @see \orosync_publish_many() */
        public function publishMany(iterable $messages): int {}

        /** @see \orosync_disconnect() */
        public function disconnect(array $who): bool {}

        /** @see \orosync_flush() */
        public function flush(float $timeout = 1.0): bool {}

        /** @see \orosync_check() */
        public function check(float $timeout = 1.0): bool {}

        /** @see \orosync_ticket() */
        public function ticket(array $claims = [], int $ttl = 300): string {}

        /** @see \orosync_status() */
        public function status(): array {}

        /** @see \orosync_refusals() */
        public function refusals(): array {}
    }
}

namespace Orosync\Exception {
    /** Base class of the extension's exceptions. */
    class OrosyncException extends \RuntimeException {}

    /** A setting is invalid; the message names it, its value and what to change. */
    final class ConfigurationException extends OrosyncException {}

    /** A topic, payload or ticket cannot be encoded; the message gives the reason. */
    final class EncodingException extends OrosyncException {}
}
