--TEST--
A child closes the descriptors of its parent's link
--EXTENSIONS--
orosync
--SKIPIF--
<?php require __DIR__ . '/../inc/skip_without_server.inc'; ?>
--FILE--
<?php
require __DIR__ . '/../inc/orosync.inc';


$server = Server::running();
$php = $server->php('
    $descriptors = fn (): array => array_values(preg_grep("/socket:|eventfd|timerfd/", array_map(
        fn (string $link): string => (string) @readlink($link), glob("/proc/self/fd/*")
    )));
    $others = count($descriptors());
    orosync_publish("oro/ping", 1);
    orosync_flush(20);
    echo "parent: ", count($descriptors()) - $others, "\n";
    $child = pcntl_fork();
    if ($child === 0) {
        echo "child: ", count($descriptors()) - $others, "\n";
        exit;
    }
    pcntl_waitpid($child, $status);
    echo "parent: ", count($descriptors()) - $others, " ", orosync_check(20) ? "and still connected" : "and disconnected", "\n";
');
echo 'exit ', $php->wait(), "\n", $php->output(), $php->errors();
--EXPECT--
exit 0
parent: 3
child: 0
parent: 3 and still connected
