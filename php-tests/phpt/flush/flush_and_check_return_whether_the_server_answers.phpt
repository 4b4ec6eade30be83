--TEST--
flush and check return true with a server, and false within the timeout without one
--EXTENSIONS--
orosync
--SKIPIF--
<?php require __DIR__ . '/../inc/skip_without_server.inc'; ?>
--FILE--
<?php
require __DIR__ . '/../inc/orosync.inc';


$server = new Server();
$publisher = $server->publisher(['shutdown_timeout' => 0]);
var_dump($publisher->flush(0.05));
echo "nothing to flush: true\n";
var_dump($publisher->check(0.05));
$publisher->publish('oro/ping', 1);
var_dump($publisher->flush(0.05), $publisher->flush(0));
$server->start();
var_dump($publisher->check(LIMIT), $publisher->flush(LIMIT), $publisher->flush(1));
echo $publisher->status()['state'], "\n";
--EXPECT--
bool(true)
nothing to flush: true
bool(false)
bool(false)
bool(false)
bool(true)
bool(true)
bool(true)
connected
