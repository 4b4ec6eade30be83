--TEST--
With another secret, check and flush fail at once; the status has the reason
--EXTENSIONS--
orosync
--SKIPIF--
<?php require __DIR__ . '/../inc/skip_without_server.inc'; ?>
--FILE--
<?php
require __DIR__ . '/../inc/orosync.inc';


$server = Server::running();
$publisher = new Orosync\Publisher($server->endpoint, ['secret' => str_repeat('x', 32), 'shutdown_timeout' => 0]);
$publisher->publish('oro/ping', 1);
$begun = hrtime(true);
// One year: the refusal ends both at once.
var_dump($publisher->check(31_536_000), $publisher->flush(31_536_000));
$status = $publisher->status();
echo $status['state'], ': ', $status['last_error'], "\n";
var_dump($status['accepted'], $status['acknowledged'], adds_up($status));
--EXPECTF--
bool(false)
bool(false)
refused: the server refuses this publisher (HTTP 401%S). Compare the secret with the server's
int(1)
int(0)
bool(true)
