<?php

declare(strict_types=1);

namespace Orosync\Endpoint;

/** Finds out who listens where this application's server is to listen. */
final class ServerAtPort
{
    public const NOBODY = 'nobody';
    /** An orosync-server that accepts this application's tickets. */
    public const OURS = 'ours';
    /** An orosync-server with another secret. */
    public const ANOTHER = 'another';
    /** Anything else: Oro's old server, for example. */
    public const FOREIGN = 'foreign';

    private const TIMEOUT_SECONDS = 2.0;
    private const MAX_BYTES = 4096;

    /**
     * @param string $address `host:port` or `unix:/path`
     * @param string $ticket  a new one; it is used up
     *
     * @return self::*
     */
    public function identify(string $address, string $ticket): string
    {
        $target = str_starts_with($address, 'unix:')
            ? 'unix://' . substr($address, 5)
            : 'tcp://' . preg_replace(['~^0\.0\.0\.0:~', '~^\[::\]:~'], ['127.0.0.1:', '[::1]:'], $address);
        $socket = @stream_socket_client($target, $code, $message, self::TIMEOUT_SECONDS);
        if (false === $socket) {
            return self::NOBODY;
        }
        $until = microtime(true) + self::TIMEOUT_SECONDS;
        fwrite($socket, 'GET /?ticket=' . rawurlencode($ticket) . " HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            . "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " . base64_encode(random_bytes(16)) . "\r\n"
            . "Sec-WebSocket-Protocol: orosync.1\r\n\r\n");
        stream_set_blocking($socket, false);
        $head = '';
        while (!str_contains($head, "\r\n\r\n") && \strlen($head) < self::MAX_BYTES && ($left = $until - microtime(true)) > 0) {
            [$readable, $none] = [[$socket], null];
            if (1 !== @stream_select($readable, $none, $none, (int) $left, (int) (fmod($left, 1) * 1e6)) || feof($socket)) {
                break;
            }
            $head .= fread($socket, self::MAX_BYTES);
        }
        fclose($socket);

        return match (true) {
            str_starts_with($head, 'HTTP/1.1 101 ') && 1 === preg_match('~^Sec-WebSocket-Protocol: orosync\.1\r$~im', $head) => self::OURS,
            str_starts_with($head, 'HTTP/1.1 401 ') => self::ANOTHER,
            default => self::FOREIGN,
        };
    }
}
