--TEST--
Messages wait for a server that is not running yet, then arrive once and in order
--EXTENSIONS--
orosync
--SKIPIF--
<?php require __DIR__ . '/../inc/skip_without_server.inc'; ?>
--FILE--
<?php
require __DIR__ . '/../inc/orosync.inc';


$server = new Server();
$publisher = $server->publisher();
for ($number = 1; $number <= 3000; ++$number) {
    $publisher->publish('oro/ping', $number);
}
var_dump(wait_until('an attempt', static fn (): ?string => $publisher->status()['last_error']) !== null);
var_dump($publisher->status()['accepted'], adds_up($publisher->status()));

$server->start();
$watcher = $server->watch('oro/ping');
// Some were sent before the subscription. The others must arrive once and in order.
var_dump($publisher->flush(LIMIT));
for ($number = 3001; $number <= 3010; ++$number) {
    $publisher->publish('oro/ping', $number);
}
var_dump($publisher->flush(LIMIT));
$received = array_map(intval(...), $watcher->all());
$sorted = array_values(array_unique($received));
sort($sorted);
var_dump($received === $sorted, array_slice($received, -10) === range(3001, 3010));
var_dump($publisher->status()['acknowledged'], adds_up($publisher->status()));
--EXPECT--
bool(true)
int(3000)
bool(true)
bool(true)
bool(true)
bool(true)
bool(true)
int(3010)
bool(true)
