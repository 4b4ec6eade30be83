--TEST--
phpinfo shows that a secret is set, but not its value
--EXTENSIONS--
orosync
--INI--
orosync.secret=ssssssssssssssssssssssssssssssssssssssss
--FILE--
<?php
require __DIR__ . '/../inc/orosync.inc';

ob_start();
phpinfo(INFO_MODULES);
$page = ob_get_clean();
var_dump(str_contains($page, 'sssssssssssssssssssssssssssssssss'));
preg_match_all('/^(Secret|orosync\..*|Orosync) => .*$/m', $page, $lines);
echo implode("\n", $lines[0]), "\n";
--EXPECT--
bool(false)
Orosync => enabled
Secret => set by orosync.secret
orosync.ca_file => no value => no value
orosync.connect_timeout => 2.0 => 2.0
orosync.endpoint => ws://127.0.0.1:8080/ => ws://127.0.0.1:8080/
orosync.queue_bytes => 16M => 16M
orosync.queue_messages => 10000 => 10000
orosync.secret => (set, not shown) => (set, not shown)
orosync.secret_file => no value => no value
orosync.shutdown_timeout => 1.0 => 1.0
