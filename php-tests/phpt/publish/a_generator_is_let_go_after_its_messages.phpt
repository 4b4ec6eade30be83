--TEST--
publish_many releases its argument, however it ends
--EXTENSIONS--
orosync
--FILE--
<?php
require __DIR__ . '/../inc/orosync.inc';

$server = new Server();
$many = $server->publisher(['queue_messages' => 3, 'shutdown_timeout' => 0])->publishMany(...);
$cases = [
    'to its end' => [$many, static fn (): iterable => yield ['oro/ping', 1]],
    'until the queue was full' => [$many, static fn (): iterable => yield from array_fill(0, 9, ['oro/ping', 1])],
    'until a message was none' => [$many, static fn (): iterable => yield 'none'],
    'until it threw' => [$many, static fn (): iterable => yield throw new DomainException('no more')],
    'not at all, for want of a secret' => [orosync_publish_many(...), static fn (): iterable => yield ['oro/ping', 1]],
];
foreach ($cases as $how => [$publishMany, $messages]) {
    $generator = $messages();
    $held = WeakReference::create($generator);
    try {
        $outcome = $publishMany($generator);
    } catch (Throwable $error) {
        $outcome = $error::class;
        unset($error); // Its trace holds the arguments.
    }
    unset($generator);
    echo "$how: $outcome, ", $held->get() === null ? 'let go' : 'still held', "\n";
}
--EXPECT--
to its end: 1, let go
until the queue was full: 2, let go
until a message was none: Orosync\Exception\EncodingException, let go
until it threw: DomainException, let go
not at all, for want of a secret: Orosync\Exception\ConfigurationException, let go
