--TEST--
A Fiber can poll with flush(0) without blocking others; flush() with a timeout blocks all Fibers; a payload may suspend
--EXTENSIONS--
orosync
--SKIPIF--
<?php require __DIR__ . '/../inc/skip_without_server.inc'; ?>
--FILE--
<?php
require __DIR__ . '/../inc/orosync.inc';


/** A payload whose encoding suspends the Fiber, like one that reads from a database in a coroutine. */
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

/** Resumes each Fiber once. @param list<Fiber> $fibers */
function resume_all(array $fibers): void
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
$iterations = 0;
$working = new Fiber(static function () use (&$iterations): void {
    while (true) {
        ++$iterations;
        Fiber::suspend();
    }
});
$longest = 0;
for ($round = 0; $round < 100; ++$round) {
    $begun = hrtime(true);
    resume_all([$waiting, $working]);
    $longest = max($longest, hrtime(true) - $begun);
}
echo 'iterations of the other Fiber: ', $iterations, ', each within half a second: ';
var_dump($longest < 5e8 && !$waiting->isTerminated());

$blocking = new Fiber(static fn (): bool => $publisher->flush(0.2));
$begun = hrtime(true);
resume_all([$blocking, $working]);
echo 'flush(0.2) returns ', json_encode($blocking->getReturn()), ', and blocks the other Fiber: ';
var_dump(hrtime(true) - $begun >= 2e8, $iterations);

$server->process->signal(SIGCONT);
wait_until('the acknowledgement', static function () use ($waiting): bool {
    resume_all([$waiting]);

    return $waiting->isTerminated();
});
echo $waiting->getReturn(), "\n";

$publish = static fn (string $name): Fiber => new Fiber(static fn (): bool => $publisher->publish('oro/ping', new Suspending($name)));
[$third, $fourth] = [$publish('third'), $publish('fourth')];
resume_all([$third, $fourth]);
$publisher->publish('oro/ping', 'between');
resume_all([$fourth, $third]);
var_dump($third->getReturn(), $fourth->getReturn(), $publisher->flush(LIMIT));
echo implode(' ', $watcher->all()), "\n";
--EXPECT--
bool(true)
iterations of the other Fiber: 100, each within half a second: bool(true)
flush(0.2) returns false, and blocks the other Fiber: bool(true)
int(101)
acknowledged
bool(true)
bool(true)
bool(true)
"first" "second" "between" {"nested":["fourth"]} {"nested":["third"]}
