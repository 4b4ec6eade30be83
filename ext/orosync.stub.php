<?php

/**
 * What `orosync.so` adds to PHP, for editors and static analysis. Not loaded at run time.
 *
 * The functions publish with the settings of php.ini (all of them PHP_INI_SYSTEM, read on first use):
 *
 * | setting | default | meaning |
 * | --- | --- | --- |
 * | orosync.endpoint | ws://127.0.0.1:8080/ | where the server listens: ws://host:port/, wss://host/ or unix:/path/to/socket; or several nodes of a cluster, with spaces or commas between |
 * | orosync.ca_file | none | certificate authorities in PEM that alone may vouch for a wss:// server; none: the system's |
 * | orosync.secret_file, orosync.secret | none | the secret shared with the server, at least 32 bytes; set one of the two |
 * | orosync.queue_messages | 10000 | messages that may wait in this process, unacknowledged included |
 * | orosync.queue_bytes | 16M | the same in bytes, at least 2M |
 * | orosync.connect_timeout | 2.0 | seconds from the first packet to the server's welcome |
 * | orosync.shutdown_timeout | 1.0 | seconds that the end of a process waits for what is not acknowledged |
 *
 * Without a secret in php.ini the server's own environment variables are taken: OROSYNC_AUTH__SECRET, or else
 * OROSYNC_AUTH__SECRET_FILE.
 *
 * Of several endpoints a random one is first, and the next one's turn comes when that is lost. If they are no nodes of one
 * cluster, PHP's error log says so.
 *
 * An outage is one line in PHP's error log, and so is what was left undelivered at the end of a process; nothing is ever
 * written into a page.
 */

namespace {
    /** The extension's version. */
    const OROSYNC_VERSION = '0.1.0';

    /**
     * Accept a message for delivery to every session subscribed to the topic. Never waits for the network.
     *
     * @param string $topic   1 to 255 bytes of UTF-8, for example `oro/data/update`
     * @param mixed  $payload anything that json_encode() takes; at most 1 MiB once encoded
     * @param array{exclude?: list<string>, eligible?: list<string>} $options WAMP session ids that are left out, or
     *                        that alone receive it (an empty list means everybody); `exclude` wins
     *
     * @return bool false when the queue is full (counted as `refused`)
     *
     * @throws \Orosync\Exception\EncodingException      the topic or the payload cannot be sent
     * @throws \Orosync\Exception\ConfigurationException the settings cannot work
     */
    function orosync_publish(string $topic, mixed $payload, array $options = []): bool {}

    /**
     * The same for many `[topic, payload, options?]`; ends at the first one that the queue refuses.
     *
     * @param iterable<array{0: string, 1: mixed, 2?: array{exclude?: list<string>, eligible?: list<string>}}> $messages
     *
     * @return int how many were accepted
     *
     * @throws \Orosync\Exception\EncodingException      a message cannot be sent; those before it were accepted
     * @throws \Orosync\Exception\ConfigurationException the settings cannot work
     */
    function orosync_publish_many(iterable $messages): int {}

    /**
     * Have sessions ended, within moments, on every node: after a logout, a change of password or role, a deactivation. A
     * session outlives the ticket that opened it. Its browser comes back if the application gives it a new ticket. Accepted,
     * sent and counted like a message.
     *
     * @param array{role: 'user'|'customer'|'anonymous', uid: int|string}|array{role: 'user'|'customer'|'anonymous', user: string}|array{session: string} $who
     *                        all sessions whose tickets have this role and this `uid`, or this role and this name (`sub`); or
     *                        the one with this WAMP session id
     *
     * @return bool false when the queue is full (counted as `refused`)
     *
     * @throws \Orosync\Exception\EncodingException      nobody or several are named, or what is named cannot be
     * @throws \Orosync\Exception\ConfigurationException the settings cannot work
     */
    function orosync_disconnect(array $who): bool {}

    /**
     * Wait until the server has acknowledged all that this process has accepted.
     *
     * @param float $timeout seconds
     *
     * @return bool false when the time ran out before, or at once when the server refuses this publisher
     *
     * @throws \Orosync\Exception\ConfigurationException the settings cannot work
     */
    function orosync_flush(float $timeout = 1.0): bool {}

    /**
     * Is the server reachable, and does it accept us? Connects when there is no connection yet, and waits for an answer
     * to a question of its own when there is one.
     *
     * @param float $timeout seconds
     *
     * @return bool false when the time ran out before, or at once when the server refuses this publisher
     *
     * @throws \Orosync\Exception\ConfigurationException the settings cannot work
     */
    function orosync_check(float $timeout = 1.0): bool {}

    /**
     * Mint a browser's one-time ticket for `?ticket=`.
     *
     * @param array{sub?: ?string, uid?: int|string|null, org?: ?int, role?: 'user'|'customer'|'anonymous'|null,
     *              roles?: list<string>|null, topics?: list<string>|null, patterns?: list<string>|null,
     *              origins?: list<string>|null, until?: ?int} $claims user name, user id (a number or a text of up to
     *                   100 bytes), organization id; roles of the user in the application, for policies such as
     *                   `role:ROLE_SALES` (at most 32); topics, and patterns of topics, that are granted where the
     *                   server's policy says `granted` (at most 50 together); hosts whose pages alone may use it, written
     *                   as in `auth.allowed_origins` (at most 16; none: any); from when on each connection needs a new
     *                   ticket, in seconds since 1970; what is null is left out; without a role: anonymous
     * @param int $ttl seconds until it expires, at most 86400
     *
     * @throws \Orosync\Exception\EncodingException      a claim or the ttl cannot be put into a ticket
     * @throws \Orosync\Exception\ConfigurationException the settings cannot work
     */
    function orosync_ticket(array $claims = [], int $ttl = 300): string {}

    /**
     * State of this process's connection: no I/O. At every moment accepted = acknowledged + unacknowledged + queued.
     * `last_error` stays after the connection has recovered. The state is `refused`, and not `waiting`, where the server has
     * answered that it does not accept us: another secret, most of the time. Of several endpoints `endpoint` is the one in use (all
     * of them before the first message), and `last_error` begins with the one that it speaks of.
     *
     * @return array{state: 'idle'|'connecting'|'connected'|'waiting'|'refused'|'closed', endpoint: string, queued: int,
     *               unacknowledged: int, accepted: int, acknowledged: int, refused: int, reconnects: int,
     *               last_error: ?string}
     *
     * @throws \Orosync\Exception\ConfigurationException the settings cannot work
     */
    function orosync_status(): array {}

    /**
     * Topics whose messages the server has acknowledged and delivers to nobody, for it does not know them or lets nobody publish
     * there: the latest 32 of this process, the last one first. No I/O: what was published just now is known after
     * `orosync_flush()`. One acknowledgement names the first refused topic of all messages that it is for, and `messages` is
     * how many were refused with it.
     *
     * @return list<array{topic: string, reason: string, messages: int}>
     *
     * @throws \Orosync\Exception\ConfigurationException the settings cannot work
     */
    function orosync_refusals(): array {}
}

namespace Orosync {
    /**
     * The same for several endpoints in one process. Publishers with equal settings share one connection, which stays
     * open from request to request; a process has at most 32 different ones.
     */
    final class Publisher
    {
        /**
         * @param string $endpoint `ws://host:port/`, `wss://...` or `unix:/path/to/socket`
         * @param array{secret?: string, secret_file?: string, ca_file?: string, queue_messages?: int,
         *              queue_bytes?: int, connect_timeout?: float, shutdown_timeout?: float} $options what is missing comes from php.ini
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
    /** The base of all exceptions of the extension. */
    class OrosyncException extends \RuntimeException {}

    /** A setting cannot work; the message names it, its value and what to change. */
    final class ConfigurationException extends OrosyncException {}

    /** A topic, a payload or a ticket cannot be encoded; the message says why. */
    final class EncodingException extends OrosyncException {}
}
