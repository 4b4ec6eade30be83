--TEST--
With a full queue publish() returns false at once, and the message is counted
--EXTENSIONS--
orosync
--SKIPIF--
<?php require __DIR__ . '/../inc/skip_without_server.inc'; ?>
--FILE--
<?php
require __DIR__ . '/../inc/orosync.inc';


$server = new Server();
$publisher = $server->publisher(['queue_messages' => 100, 'shutdown_timeout' => 0]);
$accepted = 0;
for ($number = 0; $number < 150; ++$number) {
    $accepted += (int) $publisher->publish('oro/ping', $number);
}
$status = $publisher->status();
echo "$accepted accepted, {$status['refused']} refused\n";
var_dump($status['accepted'], $status['queued'], adds_up($status));
echo 'many: ', $publisher->publishMany([['oro/ping', 1]]), "\n";

$bytes = $server->publisher(['queue_bytes' => '2M', 'shutdown_timeout' => 0]);
$megabyte = str_repeat('x', (1 << 20) - 2);
var_dump($bytes->publish('oro/ping', $megabyte), $bytes->publish('oro/ping', $megabyte), $bytes->publish('t', 1));
--EXPECTF--
100 accepted, 50 refused
int(100)
int(100)
bool(true)
many: 0
bool(true)
bool(false)
bool(true)
