<?php

/**
 * The compared ways to publish. Each has three functions: `open` prepares a request's first message (not measured if `is_kept`,
 * because the connection is persistent), `publish` sends $count messages in a row without a pause, and `close` ends the connection.
 *
 * The application's payload is a PHP value; ways that do not encode it call json_encode() in their loop.
 */

declare(strict_types=1);

use Orosync\Bench\Measured\WampClient;

require_once __DIR__ . '/WampClient.php';

const TOPIC = 'bench/topic';

/** The small payload with its overhead on the backend link: the head of a masked frame and that of a Publish frame. */
const SENT = '......' . '.............' . '..' . TOPIC . '....' . '{"id":7,"on":true}' . '....';

/** @return array<string, mixed> */
function payloads(): array
{
    $tags = [];
    for ($id = 1001; $id <= 1005; ++$id) {
        $tags[] = [
            'username' => 'admin',
            'tagname' => "Oro_Bundle_UserBundle_Entity_User_type_entity_id_$id",
        ];
    }

    return ['small' => ['id' => 7, 'on' => true], '5 content tags' => $tags];
}

/** cURL to nchan; the handle keeps its connection by default. */
function nchan(string $address, bool $keeps): CurlHandle
{
    $handle = curl_init("http://$address/publish/topic");
    curl_setopt_array($handle, [
        CURLOPT_POST => true,
        CURLOPT_RETURNTRANSFER => true,
        CURLOPT_FORBID_REUSE => !$keeps,
        CURLOPT_FRESH_CONNECT => !$keeps,
        CURLOPT_CONNECTTIMEOUT_MS => 1000,
        // A plain body without "Expect: 100-continue" and multipart.
        CURLOPT_HTTPHEADER => ['Content-Type: application/json', 'Expect:'],
    ]);

    return $handle;
}

function post(CurlHandle $handle, mixed $payload, int $count): void
{
    for ($i = 0; $i < $count; ++$i) {
        curl_setopt($handle, CURLOPT_POSTFIELDS, json_encode($payload));
        if (curl_exec($handle) === false) {
            throw new RuntimeException(curl_error($handle));
        }
    }
}

function to_redis(Redis $redis, mixed $payload, int $count): void
{
    for ($i = 0; $i < $count; ++$i) {
        $redis->publish(TOPIC, json_encode($payload));
    }
}

/**
 * @param array<string, string> $addresses
 * @return array<string, array{is_kept?: bool, open: callable, publish: callable, close: callable}>
 */
function peers(array $addresses): array
{
    $nothing = static fn (): mixed => null;
    // A ticket is valid once. Every way to a browser needs one, so it is issued before the measurement.
    $tickets = [];
    foreach (payloads() as $ignored) {
        $tickets[] = orosync_ticket(['sub' => 'bench', 'uid' => 1, 'role' => 'user']);
    }

    return [
        'json_encode' => [
            'open' => $nothing,
            'publish' => static function (mixed $connection, mixed $payload, int $count): void {
                for ($i = 0; $i < $count; ++$i) {
                    json_encode($payload);
                }
            },
            'close' => $nothing,
        ],
        'orosync' => [
            'open' => $nothing,
            'publish' => static function (mixed $connection, mixed $payload, int $count): void {
                for ($i = 0; $i < $count; ++$i) {
                    orosync_publish(TOPIC, $payload);
                }
            },
            'close' => $nothing,
        ],
        // A bare send() on a persistent connection; it connects before the measurement.
        'send' => [
            'is_kept' => true,
            'open' => static fn (): mixed => pfsockopen("tcp://{$addresses['sink']}"),
            'publish' => static function (mixed $socket, mixed $payload, int $count): void {
                for ($i = 0; $i < $count; ++$i) {
                    fwrite($socket, SENT);
                }
            },
            'close' => $nothing,
        ],
        'phpredis' => [
            'open' => static function () use ($addresses): Redis {
                [$host, $port] = explode(':', $addresses['redis']);
                $redis = new Redis();
                $redis->connect($host, (int) $port, 1.0);

                return $redis;
            },
            'publish' => to_redis(...),
            'close' => static fn (Redis $redis) => $redis->close(),
        ],
        'phpredis_persistent' => [
            'open' => static function () use ($addresses): Redis {
                [$host, $port] = explode(':', $addresses['redis']);
                $redis = new Redis();
                $redis->pconnect($host, (int) $port, 1.0, 'bench');

                return $redis;
            },
            'publish' => to_redis(...),
            'close' => $nothing,
        ],
        'curl_nchan_kept' => [
            'open' => static fn (): CurlHandle => nchan($addresses['nchan'], true),
            'publish' => post(...),
            'close' => $nothing,
        ],
        'curl_nchan_new' => [
            'open' => static fn (): CurlHandle => nchan($addresses['nchan'], false),
            'publish' => post(...),
            'close' => $nothing,
        ],
        'wamp_client' => [
            'open' => static function () use ($addresses, &$tickets): WampClient {
                return new WampClient($addresses['orosync'], (string) array_pop($tickets));
            },
            'publish' => static function (WampClient $client, mixed $payload, int $count): void {
                for ($i = 0; $i < $count; ++$i) {
                    $client->publish(TOPIC, $payload);
                }
            },
            'close' => static fn (WampClient $client) => $client->disconnect(),
        ],
    ];
}
