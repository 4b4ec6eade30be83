--TEST--
Changes by __toString and jsonSerialize to the variables of a message do not affect it
--EXTENSIONS--
orosync
--SKIPIF--
<?php require __DIR__ . '/../inc/skip_without_server.inc'; ?>
--FILE--
<?php
require __DIR__ . '/../inc/orosync.inc';
require __DIR__ . '/../inc/hostile.inc';

$server = Server::running();
$watcher = $server->watch('oro/ping');
$publisher = $server->publisher();
$other = static fn (): array => [own('of the message'), [own('nested')]];

// The message itself is a reference.
$message = [new RunsAsString(function () use (&$message): void {
    $message = null;
}), $other(), []];
$publisher->publishMany([&$message]);

// Its parts are references.
$topic = own('oro/ping');
$payload = [new RunsAsJson(function () use (&$topic, &$payload, &$options): void {
    $topic = $payload = $options = null;
}), $other()];
$options = ['exclude' => [own(str_repeat('a', 32))]];
$publisher->publishMany([[&$topic, &$payload, &$options]]);

$topic = new RunsAsString(function () use (&$topic, &$payload, &$options): void {
    $topic = $payload = $options = null;
});
$payload = $other();
$options = ['exclude' => [own(str_repeat('a', 32))]];
$publisher->publishMany([[&$topic, &$payload, &$options]]);

// The list is a reference too, held only by the object itself.
$list = [[new RunsAsString(function () use (&$list): void {
    $list = null;
}), $other()], ['oro/ping', own('second')]];
echo $publisher->publishMany($list), "\n";

// A single message: PHP holds its arguments, but not the values that they refer to.
$topic = own('oro/ping');
$ids = [own(str_repeat('b', 32))];
$options = ['exclude' => &$ids];
$payload = ['a' => new RunsAsJson(function () use (&$topic, &$payload, &$options, &$ids): void {
    $topic = $payload = $options = $ids = null;
    $ids = [];
}), 'b' => &$ids];
$publisher->publish($topic, $payload, $options);
$topic = new RunsAsString(function () use (&$topic, &$inner): void {
    $topic = $inner = null;
});
$inner = [own('inner')];
$publisher->publish($topic, [&$inner, $other()]);

// A value that only the message holds is destroyed after it.
$ending = new class () {
    public function __destruct()
    {
        reuse_memory();
        throw new DomainException('from __destruct');
    }
};
$message = [new RunsAsString(function () use (&$message): void {
    $message = null;
}), [$ending]];
unset($ending);
echo thrown(static function () use ($publisher, &$message): void {
    $publisher->publishMany((static fn (): Generator => yield $message)());
    unset($message);
}), "\n";

$publisher->flush(LIMIT);
echo implode("\n", $watcher->all()), "\n";
--EXPECT--
2
DomainException: from __destruct
["of the message",["nested"]]
["encoded",["of the message",["nested"]]]
["of the message",["nested"]]
["of the message",["nested"]]
"second"
{"a":"encoded","b":[]}
[null,["of the message",["nested"]]]
[{}]
