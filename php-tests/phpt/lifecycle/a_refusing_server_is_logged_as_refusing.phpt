--TEST--
A server that refuses this process is reported as refusing
--EXTENSIONS--
orosync
--SKIPIF--
<?php require __DIR__ . '/../inc/skip_without_server.inc'; ?>
--FILE--
<?php
require __DIR__ . '/../inc/orosync.inc';

ini_set('log_errors', '1');
ini_set('error_log', temporary_directory() . '/log');
$server = Server::running();
$publisher = new Orosync\Publisher($server->endpoint, ['secret' => str_repeat('x', 32), 'shutdown_timeout' => 0]);
$publisher->publish('oro/ping', 1);
$publisher->flush(LIMIT);
echo file_get_contents(ini_get('error_log'));
--EXPECTF--
[%s] orosync: %s refuses this PHP process, 1 message waits: the server refuses this publisher (HTTP 401%S). Compare the secret with the server's
