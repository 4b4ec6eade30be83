--TEST--
Without a server pages are unaffected, and a worker logs one line per outage
--EXTENSIONS--
orosync
--SKIPIF--
<?php require __DIR__ . '/../inc/skip_without_fpm.inc'; ?>
--FILE--
<?php
require __DIR__ . '/../inc/fpm.inc';


$server = new Server();
$fpm = new Fpm($server);
$page = 'echo "[", orosync_publish("oro/ping", 1) ? "accepted" : "refused", "]";';
$lines = static fn (): int => substr_count($fpm->log(), "\n");
$pages = [];
$outage = static function (int $number) use ($fpm, $page, $lines, &$pages): void {
    wait_until("outage $number in the log", static function () use ($fpm, $page, $lines, $number, &$pages): bool {
        $pages[] = $fpm->request($page);

        return $lines() === $number;
    });
    for ($request = 1; $request <= 10; ++$request) {
        $pages[] = $fpm->request($page);
    }
};
$outage(1);
$server->start();
$pages[] = $fpm->request('echo orosync_flush(20) ? "[accepted]" : "[not flushed]";');
$server->kill();
$outage(2);
echo implode(', ', array_unique($pages)), "\n", $fpm->log();
--EXPECTF--
[accepted]
[%s] orosync: unix:%s does not answer%S: cannot connect: No such file or directory (os error 2). Is orosync-server running there?
[%s] orosync: unix:%s does not answer%S: cannot connect: Connection refused (os error 111). Is orosync-server running there?
