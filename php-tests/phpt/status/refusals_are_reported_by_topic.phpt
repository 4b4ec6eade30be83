--TEST--
orosync_refusals() names the topics whose messages the server acknowledged but did not deliver, the latest first
--EXTENSIONS--
orosync
--SKIPIF--
<?php require __DIR__ . '/../inc/skip_without_server.inc'; ?>
--FILE--
<?php
require __DIR__ . '/../inc/orosync.inc';

$server = Server::running();
$publisher = $server->publisher(['connect_timeout' => 60]); // Long, for a slow machine.
var_dump($publisher->refusals());
$publish = static function (string $topic) use ($publisher): void {
    $publisher->publish($topic, 1);
    $publisher->flush(LIMIT);
};
$show = static function () use ($publisher): void {
    foreach ($publisher->refusals() as $refusal) {
        echo "{$refusal['messages']} to {$refusal['topic']}: {$refusal['reason']}\n";
    }
};
$publish('oro/ping');
$publish('acme/first');
$publish('acme/second');
$publish('acme/first');
$show();
echo $publisher->status()['acknowledged'], " acknowledged\n";

// Only the latest are kept.
for ($i = 0; $i < 40; ++$i) {
    $publish("acme/$i");
}
$refusals = $publisher->refusals();
echo count($refusals), ', ', $refusals[0]['topic'], ' to ', end($refusals)['topic'], "\n";
--EXPECTF--
array(0) {
}
2 to acme/first: %Sacme/first%S
1 to acme/second: %Sacme/second%S
4 acknowledged
32, acme/39 to acme/8
