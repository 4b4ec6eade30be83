--TEST--
A child forked during a DNS lookup of the link thread can publish to a host name, and so can its parent
--EXTENSIONS--
orosync
--SKIPIF--
<?php
require __DIR__ . '/../inc/skip_without_server.inc';
// The test needs its own resolver and network.
exec('unshare --mount --net true 2>&1 && ip -V 2>&1', $said, $status);
if ($status !== 0) {
    die('skip namespaces need root, util-linux and iproute2');
}
?>
--FILE--
<?php
require __DIR__ . '/../inc/orosync.inc';

// Answers each query with an address: at once, but for the first client only when the file "answer" exists.
const RESOLVER = '
    $socket = stream_socket_server("udp://127.0.0.1:53", $code, $message, STREAM_SERVER_BIND) ?: die($message);
    touch("$argv[1]/resolver");
    $held = [];
    while (true) {
        [$read, $write, $except] = [[$socket], [], []];
        $query = stream_select($read, $write, $except, 0, 2000) > 0 ? stream_socket_recvfrom($socket, 512, 0, $peer) : "";
        $first ??= $peer ?? null;
        if ($query !== "") {
            touch("$argv[1]/asked");
            $held[] = [$query, $peer];
        }
        clearstatcache();
        foreach ($held as $index => [$query, $from]) {
            if ($from === $first && !file_exists("$argv[1]/answer")) {
                continue;
            }
            unset($held[$index]);
            $question = substr($query, 12, strpos($query, "\0", 12) - 12 + 5);
            // An A record; no records of other types.
            $record = substr($question, -3, 1) === "\x01" ? "\xc0\x0c\0\x01\0\x01\0\0\0\x01\0\x04\x7f\0\0\x01" : "";
            $head = substr($query, 0, 2) . "\x81\x80\0\x01" . pack("n", $record === "" ? 0 : 1) . "\0\0\0\0";
            stream_socket_sendto($socket, $head . $question . $record, 0, $from);
        }
    }
';
const PUBLISHER = '
    orosync_publish("oro/ping", "parent");
    while (!file_exists("$argv[1]/asked")) {
        clearstatcache();
        usleep(2000);
    }
    if (($child = pcntl_fork()) === 0) {
        orosync_publish("oro/ping", "child");
        echo gethostbyname("orosync.example"), orosync_flush((float) $argv[2]) ? " flushed\n" : " not flushed\n";
        exit;
    }
    pcntl_waitpid($child, $status);
    echo pcntl_wexitstatus($status), " ", orosync_status()["acknowledged"], " acknowledged\n";
    touch("$argv[1]/answer");
    echo orosync_flush((float) $argv[2]) ? "flushed\n" : "not flushed\n";
';
$server = new Server();
$directory = $server->directory;
file_put_contents("$directory/resolv.conf", "nameserver 127.0.0.1\noptions timeout:30 attempts:1\n");
foreach (['resolver' => RESOLVER, 'publisher' => PUBLISHER] as $name => $code) {
    file_put_contents("$directory/$name.php", "<?php $code");
}
$php = static fn (string $script, array $settings = []): string => implode(' ', array_map(escapeshellarg(...), [
    ...php_command($settings), "$directory/$script.php", $directory, (string) LIMIT,
]));
$await = static fn (string $condition): string => "until $condition; do sleep 0.01; done";
$script = implode("\n", [
    'set -e',
    'trap "kill 0" EXIT',
    "mount --bind $directory/resolv.conf /etc/resolv.conf",
    'ip link set lo up',
    "{$php('resolver')} &",
    server_binary() . " serve --bind 127.0.0.1:8080 --bind unix:$directory/orosync.sock --admin-bind '' --secret-file $server->secretFile &",
    $await("[ -e $directory/resolver -a -S $directory/orosync.sock ]"),
    server_binary() . " watch --endpoint unix:$directory/orosync.sock --secret-file $server->secretFile oro/ping >$directory/events 2>$directory/watch &",
    $await("grep -q subscribed $directory/watch"),
    $php('publisher', ['orosync.endpoint' => 'ws://orosync.example:8080/', 'orosync.secret_file' => $server->secretFile, 'orosync.connect_timeout' => '60']),
    $await("[ $(wc -l <$directory/events) = 2 ]"),
    "cut -f 2 $directory/events",
    'trap - EXIT',
    'kill $(jobs -p)',
]);
$process = new Process(
    ['unshare', '--mount', '--net', '--pid', '--fork', '--kill-child', 'bash', '-c', $script],
    $server->file('script')
);
$process->wait();
echo $process->output();
--EXPECT--
127.0.0.1 flushed
0 0 acknowledged
flushed
"child"
"parent"
