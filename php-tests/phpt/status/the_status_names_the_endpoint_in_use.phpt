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
wait_until('a failed attempt', static function () use ($publisher, $dead, $server): bool {
    $status = $publisher->status();
    $hasFailed = static fn (string $endpoint): bool => str_starts_with((string) $status['last_error'], "$endpoint: cannot connect: ");

    // In this state the last error may still be the loss itself.
    return $status['state'] === 'backing-off' && ($hasFailed($dead) || $hasFailed($server->endpoint));
});
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
