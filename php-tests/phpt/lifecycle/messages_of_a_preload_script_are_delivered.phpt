--TEST--
A preload script run as another user, in a child without module shutdown, loses no message
--EXTENSIONS--
orosync
--SKIPIF--
<?php
require __DIR__ . '/../inc/skip_without_server.inc';
// Since PHP 8.5 it is a part of PHP.
if (PHP_VERSION_ID < 80500 && !is_file(PHP_EXTENSION_DIR . '/opcache.so')) {
    die('skip there is no opcache.so');
}
if (exec('id -u') !== '0') {
    die('skip preloading as another user needs root');
}
?>
--FILE--
<?php
require __DIR__ . '/../inc/orosync.inc';

$server = Server::running();
$watcher = $server->watch('oro/ping');
// The other user's access to root's directory.
chmod($server->directory, 0755);
chmod($server->secretFile, 0644);
chmod("$server->directory/orosync.sock", 0666);
$preloaded = $server->file('preloaded') . '.php';
file_put_contents($preloaded, '<?php orosync_publish("oro/ping", "preloaded");');
chmod($preloaded, 0644);
$php = $server->php('echo "script\n";', (PHP_VERSION_ID < 80500 ? ['zend_extension' => 'opcache'] : []) + [
    'opcache.enable_cli' => '1', 'opcache.preload' => $preloaded,
    'opcache.preload_user' => 'nobody', 'orosync.shutdown_timeout' => '20', 'log_errors' => '1',
]);
echo $php->wait(), ' ', $php->output(), $php->errors();
echo implode(' ', $watcher->all()), "\n";
--EXPECT--
0 script
"preloaded"
