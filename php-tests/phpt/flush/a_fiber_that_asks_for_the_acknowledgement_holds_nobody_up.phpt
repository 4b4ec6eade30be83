--TEST--
A Fiber waits for the acknowledgement by asking flush(0): others go on; flush(1) holds all of them up; a payload may suspend
--EXTENSIONS--
orosync
--SKIPIF--
<?php require __DIR__ . '/../inc/skip_without_server.inc'; ?>
--FILE--
<?php
require __DIR__ . '/../inc/orosync.inc';


/** A payload whose encoding waits for something, as one that reads from a database does in a coroutine. */
final class Suspending implements JsonSerializable
{
    public function __construct(private readonly string $name)
    {
    }

    public function jsonSerialize(): mixed
    {
        Fiber::suspend();

        return ['nested' => [$this->name]];
    }
}

/** @param list<Fiber> $fibers has each of them go on once */
function turn(array $fibers): void
{
    foreach ($fibers as $fiber) {
        $fiber->isStarted() ? $fiber->isTerminated() || $fiber->resume() : $fiber->start();
    }
}

$server = Server::running();
$watcher = $server->watch('oro/ping');
$publisher = $server->publisher();
$publisher->publish('oro/ping', 'first');
var_dump($publisher->flush(LIMIT));

$server->process->signal(SIGSTOP);
$publisher->publish('oro/ping', 'second');
$waiting = new Fiber(static function () use ($publisher): string {
    while (!$publisher->flush(0)) {
        Fiber::suspend();
    }

    return 'acknowledged';
});
$turns = 0;
$working = new Fiber(static function () use (&$turns): void {
    while (true) {
        ++$turns;
        Fiber::suspend();
    }
});
$longest = 0;
for ($turn = 0; $turn < 100; ++$turn) {
    $begun = hrtime(true);
    turn([$waiting, $working]);
    $longest = max($longest, hrtime(true) - $begun);
}
echo 'turns of the other: ', $turns, ', one takes less than half a second: ';
var_dump($longest < 5e8 && !$waiting->isTerminated());

$blocking = new Fiber(static fn (): bool => $publisher->flush(0.2));
$begun = hrtime(true);
turn([$blocking, $working]);
echo 'flush(0.2) returns ', json_encode($blocking->getReturn()), ', and the other waits for it: ';
var_dump(hrtime(true) - $begun >= 2e8, $turns);

$server->process->signal(SIGCONT);
wait_until('the acknowledgement', static function () use ($waiting): bool {
    turn([$waiting]);

    return $waiting->isTerminated();
});
echo $waiting->getReturn(), "\n";

$publish = static fn (string $name): Fiber => new Fiber(static fn (): bool => $publisher->publish('oro/ping', new Suspending($name)));
[$third, $fourth] = [$publish('third'), $publish('fourth')];
turn([$third, $fourth]);
$publisher->publish('oro/ping', 'between');
turn([$fourth, $third]);
var_dump($third->getReturn(), $fourth->getReturn(), $publisher->flush(LIMIT));
echo implode(' ', $watcher->all()), "\n";
--EXPECT--
bool(true)
turns of the other: 100, one takes less than half a second: bool(true)
flush(0.2) returns false, and the other waits for it: bool(true)
int(101)
acknowledged
bool(true)
bool(true)
bool(true)
"first" "second" "between" {"nested":["fourth"]} {"nested":["third"]}
