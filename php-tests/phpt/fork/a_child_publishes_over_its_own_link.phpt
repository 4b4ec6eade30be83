--TEST--
A forked child has its own publisher; the messages of both arrive in order
--EXTENSIONS--
orosync
--SKIPIF--
<?php require __DIR__ . '/../inc/skip_without_server.inc'; ?>
--FILE--
<?php
require __DIR__ . '/../inc/orosync.inc';


$server = Server::running();
$watcher = $server->watch('oro/ping');
$php = $server->php('
    for ($i = 1; $i <= 100; ++$i) { orosync_publish("oro/ping", "parent $i"); }
    $child = pcntl_fork();
    $me = $child === 0 ? "child" : "parent";
    for ($i = 101; $i <= 200; ++$i) { orosync_publish("oro/ping", "$me $i"); }
    if ($child === 0) {
        echo "child: ", orosync_status()["accepted"], "\n";
        exit;
    }
    pcntl_waitpid($child, $status);
    echo "child ended with ", pcntl_wexitstatus($status), "\n";
    echo "parent: ", orosync_status()["accepted"], "\n";
', ['orosync.shutdown_timeout' => '20']);
echo 'exit ', $php->wait(), "\n", $php->output(), $php->errors();
$received = $watcher->all();
$of = static fn (string $who): array => array_values(array_filter($received, static fn (string $json): bool => str_contains($json, $who)));
$expected = static fn (string $who, int $from): array => array_map(static fn (int $i): string => "\"$who $i\"", range($from, 200));
var_dump($of('parent') === $expected('parent', 1), $of('child') === $expected('child', 101));
--EXPECT--
exit 0
child: 100
child ended with 0
parent: 200
bool(true)
bool(true)
