--TEST--
A JsonSerializable may throw, publish, or end the script
--EXTENSIONS--
orosync
--SKIPIF--
<?php require __DIR__ . '/../inc/skip_without_server.inc'; ?>
--FILE--
<?php
require __DIR__ . '/../inc/orosync.inc';


final class Throwing implements JsonSerializable
{
    public function jsonSerialize(): mixed
    {
        throw new DomainException('from jsonSerialize');
    }
}
final class Publishing implements JsonSerializable
{
    public function __construct(private readonly Orosync\Publisher $publisher)
    {
    }

    public function jsonSerialize(): mixed
    {
        $this->publisher->publish('oro/ping', 'inner');

        return 'outer';
    }
}
$server = Server::running();
$watcher = $server->watch('oro/ping');
$publisher = $server->publisher();
echo thrown(static fn () => $publisher->publish('oro/ping', new Throwing())), "\n";
$publisher->publish('oro/ping', new Publishing($publisher));
$publisher->flush(LIMIT);
echo implode(' ', $watcher->all()), "\n";

$php = $server->php('
    class Ending implements JsonSerializable { function jsonSerialize(): mixed { exit(5); } }
    register_shutdown_function(function () { orosync_publish("oro/ping", "after"); });
    orosync_publish("oro/ping", "before");
    orosync_publish("oro/ping", new Ending);
', ['orosync.shutdown_timeout' => '20']);
echo 'exit ', $php->wait(), "\n", $php->errors();
$fatal = $server->php('
    class Fatal implements JsonSerializable { function jsonSerialize(): mixed { trigger_error("fatal", E_USER_ERROR); } }
    register_shutdown_function(function () { orosync_publish("oro/ping", "after a fatal error"); });
    orosync_publish("oro/ping", new Fatal);
', ['orosync.shutdown_timeout' => '20', 'display_errors' => 'stderr'], environment: WITH_MEMORY_MANAGER);
echo 'exit ', $fatal->wait(), "\n";
echo implode(' ', $watcher->all()), "\n";
--EXPECTF--
DomainException: from jsonSerialize
"inner" "outer"
exit 5
exit 255
"inner" "outer" "%s" "before" "after" "after a fatal error"
