--TEST--
publishMany() accepts lists and generators, returns the number accepted, and keeps the order
--EXTENSIONS--
orosync
--SKIPIF--
<?php require __DIR__ . '/../inc/skip_without_server.inc'; ?>
--FILE--
<?php
require __DIR__ . '/../inc/orosync.inc';


$server = Server::running();
$watcher = $server->watch('oro/ping');
$publisher = $server->publisher();

echo $publisher->publishMany([['oro/ping', 1], ['oro/ping', 2, ['exclude' => []]]]), "\n";
$generator = (static function (): Generator {
    for ($number = 3; $number <= 5000; ++$number) {
        yield ['oro/ping', $number];
    }
})();
echo $publisher->publishMany($generator), "\n";
echo $publisher->publishMany([]), "\n";
var_dump($publisher->flush(LIMIT));
var_dump($watcher->all() === array_map(strval(...), range(1, 5000)));
--EXPECT--
2
4998
0
bool(true)
bool(true)
