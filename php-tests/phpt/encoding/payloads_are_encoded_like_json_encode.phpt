--TEST--
Every payload arrives byte by byte as encoded by json_encode() with unescaped slashes and Unicode
--EXTENSIONS--
orosync
--SKIPIF--
<?php require __DIR__ . '/../inc/skip_without_server.inc'; ?>
--FILE--
<?php
require __DIR__ . '/../inc/orosync.inc';


enum Suit: string
{
    case Hearts = 'H';
}
final class Point implements JsonSerializable
{
    public int $x = 1;
    private int $hidden = 2;

    public function jsonSerialize(): mixed
    {
        return ['x' => $this->x, 'nested' => [1.0, null]];
    }
}
$payloads = [
    null, true, false, 0, -1, PHP_INT_MAX, 0.1, 1.0, 1e100, 0.1 + 0.2, '', 'a/b', 'Ünïcödé 漢字 🎉', "\u{2028}\u{2029}",
    "quotes \" ' \\ \n \t \x00", [], [1, 2], ['a' => 1], [1 => 'a'], new stdClass(), (object) ['a' => ['b' => [[]]]],
    new Point(), Suit::Hearts, new ArrayObject([1]), ['username' => 'admin', 'tagname' => str_repeat('f', 64)],
];
$server = Server::running();
$watcher = $server->watch('oro/ping');
$publisher = $server->publisher();
foreach ($payloads as $payload) {
    $publisher->publish('oro/ping', $payload);
}
$publisher->flush(LIMIT);
$expected = array_map(
    static fn (mixed $payload): string => json_encode($payload, JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE),
    $payloads
);
$received = $watcher->all();
var_dump(count($received) === count($payloads));
foreach ($expected as $index => $json) {
    if ($json !== $received[$index]) {
        echo "expected $json\nreceived {$received[$index]}\n";
    }
}
--EXPECT--
bool(true)
