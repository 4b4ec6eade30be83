--TEST--
Two applications of one FPM pool publish to their own servers, including from a session handler after the request
--EXTENSIONS--
orosync
--SKIPIF--
<?php require __DIR__ . '/../inc/skip_without_fpm.inc'; ?>
--FILE--
<?php
require __DIR__ . '/../inc/fpm.inc';

$ours = Server::running();
$theirs = Server::running();
[$our, $their] = [$ours->watch('oro/ping'), $theirs->watch('oro/ping')];
$fpm = new Fpm($ours);
// Each request sets its own: without settings FPM would keep those of the last request.
$of = static fn (Server $server): array => [
    'PHP_ADMIN_VALUE' => "orosync.endpoint = $server->endpoint\norosync.secret_file = $server->secretFile",
];
$application = static fn (string $name): string => "
    final class Publishing implements SessionHandlerInterface
    {
        public function open(string \$path, string \$name): bool { return true; }
        public function close(): bool { return true; }
        public function read(string \$id): string|false { return ''; }
        public function destroy(string \$id): bool { return true; }
        public function gc(int \$seconds): int|false { return 0; }
        public function write(string \$id, string \$data): bool { return orosync_publish('oro/ping', '$name, its session'); }
    }
    ini_set('session.use_cookies', 0);
    session_set_save_handler(new Publishing(), false);
    session_start();
    orosync_publish('oro/ping', '$name');
    echo orosync_flush(20) ? 'flushed' : 'not flushed', \"\\n\";
";
echo $fpm->request($application('ours'), $of($ours));
echo $fpm->request($application('theirs'), $of($theirs));
echo $fpm->request($application('ours again'), $of($ours));
echo $fpm->request('echo orosync_flush(20) ? "flushed" : "not flushed", "\n";', $of($theirs));
echo $fpm->request('echo orosync_flush(20) ? "flushed" : "not flushed", "\n";', $of($ours));
echo implode(' ', $our->all()), "\n", implode(' ', $their->all()), "\n", $fpm->log();
--EXPECT--
flushed
flushed
flushed
flushed
flushed
"ours" "ours, its session" "ours again" "ours again, its session"
"theirs" "theirs, its session"
