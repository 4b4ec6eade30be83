--TEST--
Publishers with equal settings share one link; the number of links is bounded
--EXTENSIONS--
orosync
--SKIPIF--
<?php require __DIR__ . '/../inc/skip_without_server.inc'; ?>
--FILE--
<?php
require __DIR__ . '/../inc/orosync.inc';


$server = Server::running();
$first = $server->publisher();
$first->publish('oro/ping', 1);
$second = $server->publisher(['queue_messages' => '10000', 'queue_bytes' => '16M', 'connect_timeout' => 2]);
echo $second->status()['accepted'], " of the same\n";
$other = $server->publisher(['queue_messages' => 9999]);
echo $other->status()['accepted'], " of the other, ", $other->status()['state'], "\n";
unset($first, $second);
gc_collect_cycles();
echo $server->publisher()->status()['accepted'], " after the objects are gone\n";

$made = 0;
echo thrown(static function () use ($server, &$made): void {
    for ($number = 1; $number < 100; ++$number) {
        $server->publisher(['queue_messages' => $number]);
        ++$made;
    }
}), "\n";
echo $made + 2, "\n";
--EXPECT--
1 of the same
0 of the other, idle
1 after the objects are gone
Orosync\Exception\ConfigurationException: Orosync\Publisher::__construct(): this process already has 32 publishers with different settings, which is the maximum. Use the same endpoint and options again
32
