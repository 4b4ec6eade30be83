--TEST--
Every accepted message arrives, however the script ends
--EXTENSIONS--
orosync
--SKIPIF--
<?php require __DIR__ . '/../inc/skip_without_server.inc'; ?>
--FILE--
<?php
require __DIR__ . '/../inc/orosync.inc';


$server = Server::running();
$watcher = $server->watch('oro/ping');
$ends = [
    'the end' => '',
    'exit' => 'exit(3);',
    'an exception' => 'throw new Exception("planned");',
    'an error' => 'planned();',
    'out of time' => 'set_time_limit(1); while (true) { }',
    'in a shutdown function' => 'register_shutdown_function(function () { orosync_publish("oro/ping", 301); }); exit;',
];
foreach ($ends as $name => $end) {
    $php = $server->php("for (\$i = 1; \$i <= 300; ++\$i) { orosync_publish('oro/ping', \$i); } $end", [
        'orosync.shutdown_timeout' => '20', 'display_errors' => 'stderr',
    ], environment: $name === 'out of time' ? WITH_MEMORY_MANAGER : []);
    echo "$name: exit code ", $php->wait(), "\n", $php->output();
}
$expected = [];
foreach (array_keys($ends) as $name) {
    array_push($expected, ...range(1, $name === 'in a shutdown function' ? 301 : 300));
}
var_dump(array_map(intval(...), $watcher->all()) === $expected);
--EXPECT--
the end: exit code 0
exit: exit code 3
an exception: exit code 255
an error: exit code 255
out of time: exit code 255
in a shutdown function: exit code 0
bool(true)
