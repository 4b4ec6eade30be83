--TEST--
Constructor options: unknown ones are answered with the nearest name, wrong types are refused, null means php.ini
--EXTENSIONS--
orosync
--FILE--
<?php
require __DIR__ . '/../inc/orosync.inc';

$secret = str_repeat('s', 32);
$try = static function (string $endpoint, array $options): void {
    echo thrown(static fn () => new Orosync\Publisher($endpoint, $options)), "\n";
};
$try('unix:/x', ['secret' => $secret, 'queue_mesages' => 1]);
$try('unix:/x', ['secret' => $secret, 'colour' => 'red']);
$try('unix:/x', ['secret' => $secret, 'queue_messages' => []]);
$try('unix:/x', ['secret' => $secret, 'connect_timeout' => 99.5]);
$try('unix:/x', ['secret' => $secret, 'secret_file' => '/etc/hostname']);
$try('http://x/', ['secret' => $secret]);
$try('unix:/x', ['secret' => $secret, 'queue_messages' => null, 'queue_bytes' => 3_000_000, 'connect_timeout' => 1]);
foreach (['2M', '2048k', ' 1G ', '2097152'] as $size) {
    $try('unix:/x', ['secret' => $secret, 'queue_bytes' => $size]);
}
foreach (['0', '0.5', '500ms', '30s', '1m', 5.0E-5] as $time) {
    $try('unix:/x', ['secret' => $secret, 'shutdown_timeout' => $time]);
}
--EXPECT--
Orosync\Exception\ConfigurationException: Orosync\Publisher::__construct(): the option "queue_mesages" is unknown. Did you mean "queue_messages"?
Orosync\Exception\ConfigurationException: Orosync\Publisher::__construct(): the option "colour" is unknown. Valid names: ca_file, secret, secret_file, queue_messages, queue_bytes, connect_timeout, shutdown_timeout
Orosync\Exception\ConfigurationException: Orosync\Publisher::__construct(): the option "queue_messages" must be a string or a number, array given
Orosync\Exception\ConfigurationException: Orosync\Publisher::__construct(): the option "connect_timeout" = "99.5": out of bounds. Write 0.001 to 60
Orosync\Exception\ConfigurationException: Orosync\Publisher::__construct(): the option "secret" and the option "secret_file" are both set. Keep one of the two
Orosync\Exception\ConfigurationException: Orosync\Publisher::__construct(): the endpoint: "http://x/" is not an endpoint. Write ws://host:port/, wss://host/ or unix:/path/to/socket
nothing
nothing
nothing
nothing
nothing
nothing
nothing
nothing
nothing
nothing
nothing
