--TEST--
Without a secret in php.ini, the server's environment variables are used
--EXTENSIONS--
orosync
--SKIPIF--
<?php require __DIR__ . '/../inc/skip_without_server.inc'; ?>
--FILE--
<?php
require __DIR__ . '/../inc/orosync.inc';


$server = Server::running();
$secret = trim(file_get_contents($server->secretFile));
$run = static function (array $variables, array $settings) use ($server): string {
    $command = [...php_command($settings + ['orosync.endpoint' => $server->endpoint]), '-r', 'var_dump(orosync_check(20));'];
    $process = new Process($command, $server->file('php'), $variables);
    $process->wait();

    return $process->output() . $process->errors();
};
echo $run(['OROSYNC_AUTH__SECRET' => $secret], []);
echo $run(['OROSYNC_AUTH__SECRET_FILE' => $server->secretFile], []);
// The file has precedence: phpinfo() shows a secret in the environment.
echo $run(['OROSYNC_AUTH__SECRET' => str_repeat('x', 32), 'OROSYNC_AUTH__SECRET_FILE' => $server->secretFile], []);
echo $run(['OROSYNC_AUTH__SECRET' => str_repeat('x', 32)], ['orosync.secret_file' => $server->secretFile]);
--EXPECT--
bool(true)
bool(true)
bool(true)
bool(true)
