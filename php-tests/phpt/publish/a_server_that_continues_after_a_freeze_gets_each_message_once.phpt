--TEST--
A server that was frozen until the link was given up receives every message once and in order when it continues
--EXTENSIONS--
orosync
--SKIPIF--
<?php require __DIR__ . '/../inc/skip_without_server.inc'; ?>
--FILE--
<?php
require __DIR__ . '/../inc/orosync.inc';

$server = Server::running();
$watcher = $server->watch('oro/ping');
$publisher = $server->publisher();
$number = 0;
$publish = static function () use ($publisher, &$number): void {
    for ($end = $number + 500; $number < $end; ++$number) {
        $publisher->publish('oro/ping', $number);
    }
};
$publish();
var_dump($publisher->flush(LIMIT));
$server->process->signal(SIGSTOP);
$publish();
wait_until('the end of the link', static fn (): bool => $publisher->status()['state'] !== 'connected');
// Both deadlines are five seconds after the last message of the server.
$reason = $publisher->status()['last_error'];
var_dump(in_array($reason, [
    'no acknowledgement for 5s: the server is frozen, overloaded or no longer reachable',
    'no answer to a ping for 2s: the server is frozen or no longer reachable',
], true) ?: $reason);
// The kernel still holds data of the old connection: the server reads both connections at the same time.
$publish();
$server->process->signal(SIGCONT);
$publish();
var_dump($publisher->flush(LIMIT), adds_up($publisher->status()), $publisher->status()['accepted']);
var_dump(array_map(intval(...), $watcher->all()) === range(0, $number - 1));
--EXPECT--
bool(true)
bool(true)
bool(true)
bool(true)
int(2000)
bool(true)
