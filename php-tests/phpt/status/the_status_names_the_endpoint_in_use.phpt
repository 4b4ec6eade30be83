--TEST--
With several endpoints the status names the one in use, and the last error begins with its endpoint
--EXTENSIONS--
orosync
--SKIPIF--
<?php require __DIR__ . '/../inc/skip_without_server.inc'; ?>
--FILE--
<?php
require __DIR__ . '/../inc/orosync.inc';


$server = Server::running();
$dead = "unix:$server->directory/nobody.sock";
$publisher = new Orosync\Publisher("$dead, $server->endpoint", ['secret_file' => $server->secretFile]);
var_dump($publisher->status()['endpoint'] === "$dead, $server->endpoint");
var_dump($publisher->check(LIMIT));
var_dump($publisher->status()['endpoint'] === $server->endpoint);
$watcher = $server->watch('oro/ping');
$publisher->publish('oro/ping', 1);
var_dump($publisher->flush(LIMIT));
echo implode($watcher->payloads(1)), "\n";
$server->kill();
$error = wait_until('the failure of both endpoints', static function () use ($publisher): string|false {
    $status = $publisher->status();

    return $status['state'] === 'backing-off' ? $status['last_error'] : false;
});
var_dump(str_starts_with($error, "$dead: cannot connect: ") || str_starts_with($error, "$server->endpoint: cannot connect: "));
$publisher->publish('oro/ping', 2);
$server->start();
var_dump($publisher->flush(LIMIT), $publisher->status()['endpoint'] === $server->endpoint);
--EXPECT--
bool(true)
bool(true)
bool(true)
bool(true)
1
bool(true)
bool(true)
bool(true)
