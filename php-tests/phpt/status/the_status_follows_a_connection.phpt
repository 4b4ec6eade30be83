--TEST--
State, counters and the last error, from the first message to a lost server
--EXTENSIONS--
orosync
--SKIPIF--
<?php require __DIR__ . '/../inc/skip_without_server.inc'; ?>
--FILE--
<?php
require __DIR__ . '/../inc/orosync.inc';


$server = new Server();
$publisher = $server->publisher(['shutdown_timeout' => 0]);
$show = static function () use ($publisher): void {
    $status = $publisher->status();
    unset($status['endpoint'], $status['queued'], $status['unacknowledged']);
    echo implode(' ', array_map(static fn (string $name, mixed $value): string => "$name=" . json_encode($value, JSON_UNESCAPED_SLASHES), array_keys($status), $status)), "\n";
};
echo implode(', ', array_keys($publisher->status())), "\n";
var_dump($publisher->status()['endpoint'] === $server->endpoint);
$show();
$publisher->publish('oro/ping', 1);
wait_until('a failed attempt', static fn (): bool => $publisher->status()['state'] === 'backing-off');
$show();
$server->start();
$publisher->flush(LIMIT);
$show();
$server->kill();
wait_until('the loss', static fn (): bool => $publisher->status()['state'] === 'backing-off');
$server->start();
wait_until('the next connection', static fn (): bool => $publisher->status()['state'] === 'connected');
$show();
--EXPECTF--
state, endpoint, queued, unacknowledged, accepted, acknowledged, refused, reconnects, last_error
bool(true)
state="idle" accepted=0 acknowledged=0 refused=0 reconnects=0 last_error=null
state="backing-off" accepted=1 acknowledged=0 refused=0 reconnects=0 last_error="cannot connect: No such file or directory (os error 2). Is orosync-server running there?"
state="connected" accepted=1 acknowledged=1 refused=0 reconnects=0 last_error="cannot connect: No such file or directory (os error 2). Is orosync-server running there?"
state="connected" accepted=1 acknowledged=1 refused=0 reconnects=1 last_error="%s"
