--TEST--
A stopped server (SIGSTOP) only fills the queue; when it continues, all messages arrive in order
--EXTENSIONS--
orosync
--SKIPIF--
<?php require __DIR__ . '/../inc/skip_without_server.inc'; ?>
--FILE--
<?php
require __DIR__ . '/../inc/orosync.inc';


$server = Server::running();
$watcher = $server->watch('oro/ping');
$publisher = $server->publisher(['queue_messages' => 20000]);
$publisher->publish('oro/ping', 0);
var_dump($publisher->flush(LIMIT));

$server->process->signal(SIGSTOP);
// More than the kernel's buffers hold: a blocking write would never return.
$filling = str_repeat('x', 20);
$accepted = 0;
$sums = true;
for ($number = 1; $number <= 15000; ++$number) {
    $accepted += (int) $publisher->publish('oro/ping', [$number, $filling]);
    $sums = $sums && adds_up($publisher->status());
}
$status = $publisher->status();
var_dump($accepted, $status['refused'], $status['queued'] > 0, $sums);
var_dump($publisher->flush(0.01), $publisher->check(0.01));

$server->process->signal(SIGCONT);
var_dump($publisher->flush(LIMIT), adds_up($publisher->status()));
$received = array_map(static fn (string $json): int => ((array) json_decode($json))[0], $watcher->all());
var_dump($received === range(0, 15000));
--EXPECT--
bool(true)
int(15000)
int(0)
bool(true)
bool(true)
bool(false)
bool(false)
bool(true)
bool(true)
bool(true)
