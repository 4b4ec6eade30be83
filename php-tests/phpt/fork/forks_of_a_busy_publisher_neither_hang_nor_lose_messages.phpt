--TEST--
Forking while the link thread is busy neither hangs nor loses messages
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
    $sent = 0;
    for ($fork = 0; $fork < 60; ++$fork) {
        for ($i = 0; $i < 50; ++$i) { orosync_publish("oro/ping", ["parent", ++$sent]); }
        $child = pcntl_fork();
        if ($child === 0) {
            for ($i = 0; $i < 3; ++$i) { orosync_publish("oro/ping", ["child $fork", $i]); }
            exit(orosync_flush(20) ? 0 : 1);
        }
        pcntl_waitpid($child, $status);
        if (pcntl_wexitstatus($status) !== 0) { echo "child $fork lost messages\n"; }
    }
    echo "$sent\n";
', ['orosync.shutdown_timeout' => '20']);
echo 'exit ', $php->wait(), "\n", $php->output(), $php->errors();
$parent = $children = [];
foreach ($watcher->all() as $json) {
    [$who, $number] = json_decode($json);
    $who === 'parent' ? $parent[] = $number : $children[$who][] = $number;
}
var_dump($parent === range(1, 3000), count($children), array_unique($children, SORT_REGULAR) === ['child 0' => [0, 1, 2]]);
--EXPECT--
exit 0
3000
bool(true)
int(60)
bool(true)
