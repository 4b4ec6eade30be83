<?php

declare(strict_types=1);

namespace Orosync\Tests\Endpoint;

use Orosync\Endpoint\BackendEndpoint;
use Orosync\Endpoint\InvalidEndpointException;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\TestCase;

final class BackendEndpointTest extends TestCase
{
    /** @dataProvider endpoints */
    #[DataProvider('endpoints')]
    public function testTheBackendIsConvertedToTheExtensionsEndpoint(array $settings, ?string $expected): void
    {
        self::assertSame($expected, (new BackendEndpoint(['key' => 'websocket_backend'] + $settings))->resolve());
    }

    public static function endpoints(): iterable
    {
        yield 'a star is this machine' => [['dsn' => '//*:8080'], 'ws://127.0.0.1:8080/'];
        yield 'the port is 8080 unless it is told' => [['dsn' => '//*/ws'], 'ws://127.0.0.1:8080/ws'];
        yield 'tcp is plain' => [['dsn' => 'tcp://10.0.0.1:81'], 'ws://10.0.0.1:81/'];
        yield 'ssl is encrypted, and its options are not ours' => [['dsn' => 'ssl://ws.example.com:443/ws?context_options[verify_peer]=0&user_agent=oro'], 'wss://ws.example.com:443/ws'];
        yield 'tlsv1.2 is encrypted' => [['dsn' => 'tlsv1.2://ws.example.com:443'], 'wss://ws.example.com:443/'];
        yield 'websocket schemes' => [['dsn' => 'WSS://ws.example.com:443/'], 'wss://ws.example.com:443/'];
        yield 'IPv6' => [['dsn' => '//[::1]:8080'], 'ws://[::1]:8080/'];
        yield 'a bare host' => [['dsn' => 'localhost'], 'ws://localhost:8080/'];
        yield 'a socket' => [['dsn' => 'unix:/run/orosync/orosync.sock'], 'unix:/run/orosync/orosync.sock'];
        yield 'a socket as a URL' => [['dsn' => 'unix:///run/orosync/orosync.sock'], 'unix:/run/orosync/orosync.sock'];
        yield 'a list' => [['dsn' => "//10.0.0.1:8080/ws, ws://node2\n unix:/run/my nodes/3,sock wss://node4/,"], 'ws://10.0.0.1:8080/ws ws://node2:80/ unix:/run/my nodes/3,sock wss://node4:443/'];
        yield 'a list without what is off' => [['dsn' => '//null //node2'], 'ws://node2:8080/'];
        yield 'a comma within an option is none of a list' => [['dsn' => 'ssl://a:443?context_options[ciphers]=A,B'], 'wss://a:443/'];
        yield 'empty is off' => [['dsn' => ''], null];
        yield 'null is off' => [['dsn' => null], null];
        yield 'the word null is off' => [['dsn' => 'null'], null];
        yield 'false is off' => [['dsn' => false], null];

        yield 'parts of older versions' => [['host' => '10.0.0.1', 'port' => '8081', 'path' => '/a/b/', 'transport' => 'tcp'], 'ws://10.0.0.1:8081/a/b'];
        yield 'a star among parts' => [['host' => '*', 'port' => 8080], 'ws://127.0.0.1:8080/'];
        yield 'an encrypted transport' => [['host' => 'example.com', 'port' => 443, 'transport' => 'ssl'], 'wss://example.com:443/'];
        yield 'IPv6 among parts' => [['host' => '::1'], 'ws://[::1]:8080/'];
        yield 'an empty host is off' => [['host' => '', 'port' => 8080], null];
        yield 'a host called null is off' => [['host' => 'null', 'port' => 8080], null];
    }

    /** @dataProvider mistakes */
    #[DataProvider('mistakes')]
    public function testAnErrorContainsKeyAndValue(array $settings, string $message): void
    {
        $this->expectException(InvalidEndpointException::class);
        $this->expectExceptionMessage($message);

        (new BackendEndpoint(['key' => 'websocket_backend'] + $settings))->resolve();
    }

    public static function mistakes(): iterable
    {
        yield [['dsn' => 'udp://10.0.0.1'], 'websocket_backend: "udp" is not a transport.'];
        yield [['dsn' => '//:8080'], 'websocket_backend: "//:8080" is not an endpoint.'];
        yield [['dsn' => '//a:99999'], 'websocket_backend: "//a:99999" is not an endpoint.'];
        yield [['dsn' => '//a:1, b:2'], 'websocket_backend: "//a:1, b:2" is not an endpoint.'];
        yield [['dsn' => '//a:1 udp://b'], 'websocket_backend: "udp" is not a transport.'];
        yield [['dsn' => '//a:0'], 'websocket_backend: "0" is not a port.'];
        yield [['dsn' => 'unix:'], 'websocket_backend: "unix:" is not the absolute path of a socket.'];
        yield [['dsn' => 'unix:run/x.sock'], 'websocket_backend: "unix:run/x.sock" is not the absolute path of a socket.'];
        yield [['host' => 'a', 'port' => 'http'], 'websocket_backend: "http" is not a port.'];
        yield [['host' => 'a', 'port' => ''], 'websocket_backend: "" is not a port.'];
    }
}
