<?php

declare(strict_types=1);

namespace Orosync\Tests\Endpoint;

use Orosync\Endpoint\FrontendEndpoint;
use Orosync\Endpoint\InvalidEndpointException;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\TestCase;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\RequestStack;

final class FrontendEndpointTest extends TestCase
{
    /** @dataProvider endpoints */
    #[DataProvider('endpoints')]
    public function testTheFrontendIsConvertedToABrowserUrl(array $settings, ?string $page, array $headers, ?string $expected): void
    {
        self::assertSame($expected, self::endpoint($settings, $page, $headers)->resolve()?->url());
    }

    public static function endpoints(): iterable
    {
        yield 'a star is the host of the page' => [['dsn' => '//*:8080/ws'], 'http://shop.example.com:8000/a', [], 'ws://shop.example.com:8080/ws'];
        yield 'without a page it is this machine' => [['dsn' => '//*:8080/ws'], null, [], 'ws://localhost:8080/ws'];
        yield 'the port is always written, and 8080 unless it is told' => [['dsn' => '//*/ws'], 'https://shop.example.com', [], 'wss://shop.example.com:8080/ws'];
        yield 'an encrypted page connects encrypted' => [['dsn' => '//ws.example.com:443/'], 'https://shop.example.com', [], 'wss://ws.example.com:443/'];
        yield 'also behind a proxy that is not trusted' => [['dsn' => '//*:443/ws'], 'http://shop.example.com', ['X-Forwarded-Proto' => 'https'], 'wss://shop.example.com:443/ws'];
        yield 'a transport of PHP says nothing to a browser' => [['dsn' => 'tcp://*:443/ws'], 'https://shop.example.com', [], 'wss://shop.example.com:443/ws'];
        yield 'a scheme of websockets does' => [['dsn' => 'wss://*:443/ws'], 'http://shop.example.com', [], 'wss://shop.example.com:443/ws'];
        yield 'the plain one too' => [['dsn' => 'ws://*:80/ws'], 'https://shop.example.com', [], 'ws://shop.example.com:80/ws'];
        yield 'the port follows a scheme of websockets' => [['dsn' => 'wss://*/ws'], 'http://shop.example.com:8000', [], 'wss://shop.example.com:443/ws'];
        yield 'and a plain one' => [['dsn' => 'ws://*/ws'], 'http://shop.example.com:8000', [], 'ws://shop.example.com:80/ws'];
        yield 'a path is at the page\'s own place' => [['dsn' => '/ws'], 'https://shop.example.com/a', [], 'wss://shop.example.com:443/ws'];
        yield 'its port too' => [['dsn' => ' /live/ws/ '], 'http://127.0.0.1:8000/a', [], 'ws://127.0.0.1:8000/live/ws'];
        yield 'the root as well' => [['dsn' => '/'], 'http://shop.example.com', [], 'ws://shop.example.com:80/'];
        yield 'a path behind a proxy that is not trusted' => [['dsn' => '/ws'], 'http://shop.example.com', ['X-Forwarded-Proto' => 'https'], 'wss://shop.example.com:443/ws'];
        yield 'a path behind such a proxy at another port' => [['dsn' => '/ws'], 'http://shop.example.com:8443', ['X-Forwarded-Proto' => 'https'], 'wss://shop.example.com:8443/ws'];
        yield 'a path without a page' => [['dsn' => '/ws'], null, [], 'ws://localhost:80/ws'];
        yield 'IPv6' => [['dsn' => '//*:8080/ws'], 'http://[::1]:8000/', [], 'ws://[::1]:8080/ws'];
        yield 'parts of older versions' => [['host' => '*', 'port' => '443', 'path' => 'ws'], 'https://shop.example.com', [], 'wss://shop.example.com:443/ws'];
        yield 'empty is off' => [['dsn' => ''], 'http://shop.example.com', [], null];
        yield 'an empty host is off' => [['host' => ''], 'http://shop.example.com', [], null];
    }

    public function testAUnixSocketIsRefusedAsFrontend(): void
    {
        $this->expectException(InvalidEndpointException::class);
        $this->expectExceptionMessage('orosync.frontend: "/run/x.sock" is a socket, which browsers cannot reach.');

        self::endpoint(['dsn' => 'unix:/run/x.sock'], 'http://localhost', [])->resolve();
    }

    private static function endpoint(array $settings, ?string $page, array $headers): FrontendEndpoint
    {
        $requests = new RequestStack();
        if (null !== $page) {
            $request = Request::create($page);
            $request->headers->add($headers);
            $requests->push($request);
        }

        return new FrontendEndpoint(['key' => 'orosync.frontend'] + $settings, $requests);
    }
}
