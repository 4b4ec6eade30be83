--TEST--
An iterator whose current element is removed, or that is advanced, yields no freed value
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

// A generator that its own message advances.
$generator = (static function () use (&$generator): Generator {
    yield [new RunsAsString(static fn () => $generator->next()), [own('first')]];
    yield ['oro/ping', 'skipped'];
    yield ['oro/ping', 'third'];
})();
echo $publisher->publishMany($generator), "\n";

// An object whose message clears its storage.
$storage = new ArrayObject();
$storage[] = [new RunsAsString(static fn () => $storage->exchangeArray([])), [own('of the storage')]];
$storage[] = ['oro/ping', 'gone'];
echo $publisher->publishMany($storage), "\n";

// key() is not called, as in a foreach without a key. This one would remove the value.
$keyed = new class ([['oro/ping', [own('without a key')]]]) extends ArrayIterator {
    public function key(): string|int|null
    {
        $this->offsetUnset(0);

        return 0;
    }
};
echo $publisher->publishMany($keyed), "\n";

// An iterator that yields a reference to a value and then drops the value.
$aggregate = new class () implements IteratorAggregate {
    private ?array $message;

    public function &messages(): Generator
    {
        $this->message = [new RunsAsString(fn () => $this->message = null), [own('by reference')]];
        yield $this->message;
    }

    public function getIterator(): Traversable
    {
        return $this->messages();
    }
};
echo $publisher->publishMany($aggregate), "\n";

// An iterator that is valid() without a current element.
$empty = new class ([1]) extends ArrayIterator {
    public function valid(): bool
    {
        return true;
    }

    public function rewind(): void
    {
        $this->offsetUnset(0);
    }
};
echo thrown(static fn () => $publisher->publishMany($empty)), "\n";

$publisher->flush(LIMIT);
echo implode("\n", $watcher->all()), "\n";
--EXPECT--
2
1
1
1
Orosync\Exception\EncodingException: Orosync\Publisher::publishMany(): message 0 is not [topic, payload] or [topic, payload, options], but null
["first"]
"third"
["of the storage"]
["without a key"]
["by reference"]
