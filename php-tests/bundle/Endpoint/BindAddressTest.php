<?php

declare(strict_types=1);

namespace Orosync\Tests\Endpoint;

use Orosync\Endpoint\BindAddress;
use Orosync\Endpoint\InvalidEndpointException;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\TestCase;

final class BindAddressTest extends TestCase
{
    /** @dataProvider addresses */
    #[DataProvider('addresses')]
    public function testTheBindAddressIsConvertedToTheServersFormat(?array $settings, ?string $host, ?string $port, ?string $expected): void
    {
        $bind = new BindAddress(null === $settings ? null : ['key' => 'websocket_bind'] + $settings);

        self::assertSame($expected, $bind->resolve($host, $port));
    }

    public static function addresses(): iterable
    {
        yield 'a DSN' => [['dsn' => '//127.0.0.1:9000'], null, null, '127.0.0.1:9000'];
        yield 'parts of older versions' => [['host' => '10.0.0.1', 'port' => 8081], null, null, '10.0.0.1:8081'];
        yield 'a star is every address' => [['host' => '*', 'port' => 8081], null, null, '0.0.0.0:8081'];
        yield 'a socket' => [['dsn' => 'unix:/run/x.sock'], null, null, 'unix:/run/x.sock'];
        yield 'a host of the command line' => [['dsn' => '//0.0.0.0:9000'], '127.0.0.1', null, '127.0.0.1:9000'];
        yield 'a port of the command line' => [['dsn' => '//10.0.0.1:9000'], null, '9001', '10.0.0.1:9001'];
        yield 'an address instead of a socket' => [['dsn' => 'unix:/run/x.sock'], null, '9001', '0.0.0.0:9001'];
        yield 'IPv6 of the command line' => [['dsn' => '//0.0.0.0:9000'], '::1', null, '[::1]:9000'];
        yield 'the command line alone' => [null, '127.0.0.1', null, '127.0.0.1:8080'];
        yield 'empty is off' => [['dsn' => ''], null, null, null];
        yield 'off stays off' => [['host' => ''], '127.0.0.1', '9000', null];
    }

    /** @dataProvider adminAddresses */
    #[DataProvider('adminAddresses')]
    public function testTheAdminAddressFollowsTheBindAddress(?array $settings, string $expected): void
    {
        self::assertSame($expected, (new BindAddress(null === $settings ? null : ['key' => 'websocket_bind'] + $settings))->admin());
    }

    /** The same as `servers_at_different_ports_have_different_admin_addresses` of the server's own tests. */
    public static function adminAddresses(): iterable
    {
        yield 'after the default port' => [null, '127.0.0.1:8081'];
        yield 'after its own' => [['dsn' => '//0.0.0.0:8090'], '127.0.0.1:8091'];
        yield 'no port' => [['dsn' => 'unix:/run/x.sock'], '127.0.0.1:8081'];
        yield 'none after it' => [['dsn' => '//0.0.0.0:65535'], '127.0.0.1:8081'];
        yield 'switched off' => [['dsn' => ''], '127.0.0.1:8081'];
    }

    public function testAnInvalidPortIsReported(): void
    {
        $this->expectException(InvalidEndpointException::class);
        $this->expectExceptionMessage('--host, --port: "http" is not a port.');

        (new BindAddress(null))->resolve(null, 'http');
    }

    public function testAnEmptyHostOnTheCommandLineIsRefused(): void
    {
        $this->expectException(InvalidEndpointException::class);
        $this->expectExceptionMessage('--host: the address is empty.');

        (new BindAddress(null))->resolve('', null);
    }
}
