<?php

declare(strict_types=1);

namespace Orosync\Tests\DependencyInjection;

use Orosync\Tests\ApplicationTestCase;
use PHPUnit\Framework\Attributes\DataProvider;

/** Both forms of Oro's parameters (DSNs, single values) work unchanged. */
final class OroParametersTest extends ApplicationTestCase
{
    /** @dataProvider configurations */
    #[DataProvider('configurations')]
    public function testEndpoints(array $parameters, array $orosync, ?string $bind, ?string $backend, ?string $frontend): void
    {
        $container = $this->boot($orosync, $parameters, []);

        self::assertSame($bind, $container->get('orosync.bind_address')->resolve());
        self::assertSame($backend, $container->get('orosync.backend_endpoint')->resolve());
        self::assertSame($frontend, $container->get('orosync.frontend_endpoint')->resolve()?->url());
    }

    public static function configurations(): iterable
    {
        $platform2 = [
            'websocket_bind_address' => '0.0.0.0', 'websocket_bind_port' => 8080,
            'websocket_frontend_host' => '*', 'websocket_frontend_port' => 443, 'websocket_frontend_path' => 'ws',
            'websocket_backend_host' => '*', 'websocket_backend_port' => 8080, 'websocket_backend_path' => '',
            'websocket_backend_transport' => 'tcp', 'websocket_backend_ssl_context_options' => [],
        ];
        $platform6 = [
            'websocket_server_dsn' => '//0.0.0.0:8080', 'websocket_frontend_dsn' => '//*:8080/ws', 'websocket_backend_dsn' => 'tcp://127.0.0.1:8080',
        ];

        yield 'one host and port for all (1.0)' => [
            ['websocket_host' => '10.0.0.1', 'websocket_port' => 8081], [],
            '10.0.0.1:8081', 'ws://10.0.0.1:8081/', 'ws://10.0.0.1:8081/',
        ];
        yield 'three pairs (1.8 to 5.0)' => [
            $platform2, [],
            '0.0.0.0:8080', 'ws://127.0.0.1:8080/', 'ws://localhost:443/ws',
        ];
        yield 'the fallback fills what is missing' => [
            ['websocket_host' => 'ws.example.com', 'websocket_port' => 81, 'websocket_path' => 'live', 'websocket_bind_address' => '0.0.0.0', 'websocket_frontend_port' => 443], [],
            '0.0.0.0:81', 'ws://ws.example.com:81/live', 'ws://ws.example.com:443/live',
        ];
        yield 'presence decides: an empty path is a path' => [
            ['websocket_path' => 'live', 'websocket_frontend_path' => ''], [],
            '0.0.0.0:8080', 'ws://127.0.0.1:8080/live', 'ws://localhost:8080/',
        ];
        yield 'presence decides: an empty host is off' => [
            ['websocket_host' => '10.0.0.1', 'websocket_backend_host' => ''] + $platform2, [],
            '0.0.0.0:8080', null, 'ws://localhost:443/ws',
        ];
        yield 'a port without a host' => [
            ['websocket_port' => 9000], [],
            '0.0.0.0:9000', 'ws://127.0.0.1:9000/', 'ws://localhost:9000/',
        ];
        yield 'DSNs (5.1 and later)' => [
            $platform6, [],
            '0.0.0.0:8080', 'ws://127.0.0.1:8080/', 'ws://localhost:8080/ws',
        ];
        yield 'DSNs win over what an update has left behind' => [
            ['websocket_backend_host' => '10.9.9.9'] + $platform6, [],
            '0.0.0.0:8080', 'ws://127.0.0.1:8080/', 'ws://localhost:8080/ws',
        ];
        yield 'the tree wins over both' => [
            $platform2 + $platform6, ['backend' => 'unix:/run/x.sock', 'frontend' => 'wss://live.example.com:443', 'server' => ['bind' => '//127.0.0.1:1234']],
            '127.0.0.1:1234', 'unix:/run/x.sock', 'wss://live.example.com:443/',
        ];
        yield 'key by key' => [
            $platform2 + $platform6, ['frontend' => '//*:443/x'],
            '0.0.0.0:8080', 'ws://127.0.0.1:8080/', 'ws://localhost:443/x',
        ];
    }

    public function testEnvironmentVariablesAreReadAtRunTime(): void
    {
        $parameters = [
            'env(ORO_WEBSOCKET_BACKEND_DSN)' => '',
            'websocket_backend_dsn' => '%env(ORO_WEBSOCKET_BACKEND_DSN)%',
        ];
        $orosync = ['secret' => '%env(OROSYNC_SECRET)%', 'frontend' => '//%env(LIVE_HOST)%:%env(int:LIVE_PORT)%/ws'];
        $_ENV += ['OROSYNC_SECRET' => 'first', 'LIVE_HOST' => 'one.example.com', 'LIVE_PORT' => '81'];
        try {
            $container = $this->boot($orosync, $parameters, []);
            self::assertNull($container->get('orosync.backend_endpoint')->resolve());
            self::assertSame('ws://one.example.com:81/ws', $container->get('orosync.frontend_endpoint')->resolve()->url());
            self::assertSame(['secret' => 'first'], $container->get('orosync.shared_secret')->forPublisher());

            $_ENV['ORO_WEBSOCKET_BACKEND_DSN'] = 'ssl://ws.example.com:443/ws';
            $_ENV['OROSYNC_SECRET'] = 'second';
            $built = $this->kernel()->getContainer()::class;
            $container = $this->boot($orosync, $parameters, []);
            self::assertSame($built, $container::class, 'the same compiled container');
            self::assertSame('wss://ws.example.com:443/ws', $container->get('orosync.backend_endpoint')->resolve());
            self::assertSame(['secret' => 'second'], $container->get('orosync.shared_secret')->forPublisher());
        } finally {
            unset($_ENV['ORO_WEBSOCKET_BACKEND_DSN'], $_ENV['OROSYNC_SECRET'], $_ENV['LIVE_HOST'], $_ENV['LIVE_PORT']);
        }
    }
}
