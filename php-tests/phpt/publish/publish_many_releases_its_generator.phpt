--TEST--
publishMany() releases its argument, however it ends
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
    'until a value was not a message' => [$many, static fn (): iterable => yield 'none'],
    'until it threw' => [$many, static fn (): iterable => yield throw new DomainException('no more')],
    'not at all, without a secret' => [orosync_publish_many(...), static fn (): iterable => yield ['oro/ping', 1]],
];
foreach ($cases as $how => [$publishMany, $messages]) {
    $generator = $messages();
    $held = WeakReference::create($generator);
    try {
        $outcome = $publishMany($generator);
    } catch (Throwable $error) {
        $outcome = $error::class;
        unset($error); // Its trace refers to the arguments.
    }
    unset($generator);
    echo "$how: $outcome, ", $held->get() === null ? 'released' : 'still held', "\n";
}
--EXPECT--
to its end: 1, released
until the queue was full: 2, released
until a value was not a message: Orosync\Exception\EncodingException, released
until it threw: DomainException, released
not at all, without a secret: Orosync\Exception\ConfigurationException, released
