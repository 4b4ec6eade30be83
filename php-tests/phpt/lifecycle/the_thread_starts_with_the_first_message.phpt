--TEST--
The thread starts with the first message; tickets and status need none
--EXTENSIONS--
orosync
--SKIPIF--
<?php require __DIR__ . '/../inc/skip_without_server.inc'; ?>
--FILE--
<?php
require __DIR__ . '/../inc/orosync.inc';


require __DIR__ . '/../inc/fpm.inc';

$server = Server::running();
$publisher = $server->publisher();
$publisher->ticket();
echo $publisher->status()['state'], ': ', threads(getmypid()), "\n";
$publisher->publish('oro/ping', 1);
echo $publisher->flush(LIMIT) ? $publisher->status()['state'] : 'not flushed', ': ', threads(getmypid()), "\n";
$publisher->publish('oro/ping', 2);
echo threads(getmypid()), "\n";
$names = array_map(static fn (string $file): string => trim(file_get_contents($file)), glob('/proc/self/task/*/comm'));
var_dump(in_array('orosync-link', $names, true));
--EXPECT--
idle: 1
connected: 2
2
bool(true)
