--TEST--
An exception in a generator reaches the caller; earlier messages are accepted
--EXTENSIONS--
orosync
--SKIPIF--
<?php require __DIR__ . '/../inc/skip_without_server.inc'; ?>
--FILE--
<?php
require __DIR__ . '/../inc/orosync.inc';


$server = Server::running();
$publisher = $server->publisher();
$generator = (static function (): Generator {
    yield ['oro/ping', 1];
    throw new DomainException('no more');
})();
echo thrown(static fn () => $publisher->publishMany($generator)), "\n";
var_dump($publisher->flush(LIMIT));
echo $publisher->status()['accepted'], "\n";
--EXPECT--
DomainException: no more
bool(true)
1
