--TEST--
Messages that a killed server had not acknowledged are sent to the next one, in order and without a gap
--EXTENSIONS--
orosync
--SKIPIF--
<?php require __DIR__ . '/../inc/skip_without_server.inc'; ?>
--FILE--
<?php
require __DIR__ . '/../inc/orosync.inc';


$server = Server::running();
$publisher = $server->publisher();
$publisher->publish('oro/ping', 1);
var_dump($publisher->flush(LIMIT));
$server->kill();
for ($number = 2; $number <= 500; ++$number) {
    $publisher->publish('oro/ping', $number);
}
wait_until('an outage', static fn (): bool => $publisher->status()['last_error'] !== null);
$server->start();
$watcher = $server->watch('oro/ping');
for ($number = 501; $number <= 600; ++$number) {
    $publisher->publish('oro/ping', $number);
}
var_dump($publisher->flush(LIMIT));
$received = array_map(intval(...), $watcher->all());
var_dump($received === range($received[0], 600), $received[0] > 1);
$status = $publisher->status();
var_dump($status['reconnects'], $status['acknowledged'], adds_up($status));
--EXPECT--
bool(true)
bool(true)
bool(true)
bool(true)
int(1)
int(600)
bool(true)
