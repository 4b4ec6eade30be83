--TEST--
A secret in the environment is visible in phpinfo(), which warns about it; one in a file is not
--EXTENSIONS--
orosync
--SKIPIF--
<?php require __DIR__ . '/../inc/skip_without_server.inc'; ?>
--FILE--
<?php
require __DIR__ . '/../inc/orosync.inc';

$server = new Server();
$secret = trim(file_get_contents($server->secretFile));
$page = static function (array $variables) use ($server, $secret): void {
    $process = new Process([...php_command([]), '-r', 'phpinfo();'], $server->file('php'), $variables);
    $process->wait();
    preg_match('/^Secret => .*$/m', $process->output(), $line);
    echo str_contains($process->output(), $secret) ? 'shown. ' : 'not shown. ', str_replace($server->secretFile, 'FILE', $line[0]), "\n";
};
$page(['OROSYNC_AUTH__SECRET' => $secret]);
$page(['OROSYNC_AUTH__SECRET_FILE' => $server->secretFile]);
--EXPECT--
shown. Secret => set by the environment variable OROSYNC_AUTH__SECRET, which phpinfo() shows: use OROSYNC_AUTH__SECRET_FILE or orosync.secret_file instead
not shown. Secret => in FILE, set by the environment variable OROSYNC_AUTH__SECRET_FILE
