<?php

declare(strict_types=1);

namespace Orosync\Endpoint;

/** Identifies the program at an address with the WebSocket handshake of a browser. */
final class ServerProbe
{
    public const UNREACHABLE = 'unreachable';
    /** An orosync-server that accepts this application's tickets. */
    public const ACCEPTED = 'accepted';
    /** An orosync-server that rejects the ticket: it has another secret. */
    public const TICKET_REJECTED = 'ticket rejected';
    /** An orosync-server that does not allow this origin. */
    public const ORIGIN_REFUSED = 'origin refused';
    /** Any other program, such as Oro's own server. */
    public const OTHER_PROGRAM = 'other program';

    private const TIMEOUT_SECONDS = 2.0;
    private const MAX_BYTES = 4096;

    /**
     * @param string      $address `host:port`, `ws://host:port/path`, `wss://...` or `unix:/path`
     * @param string      $ticket  a new one; the handshake uses it up
     * @param string|null $origin value of the Origin header; null: no header
     * @param string|null $caFile certificate authorities for a `wss://` server; null: those of the system
     *
     * @return self::*
     */
    public function probe(string $address, string $ticket, ?string $origin = null, ?string $caFile = null): string
    {
        [$target, $host, $path] = self::parts($address);
        $context = stream_context_create(['ssl' => null === $caFile ? [] : ['cafile' => $caFile]]);
        $socket = @stream_socket_client($target, $code, $message, self::TIMEOUT_SECONDS, \STREAM_CLIENT_CONNECT, $context);
        if (false === $socket) {
            return self::UNREACHABLE;
        }
        $until = microtime(true) + self::TIMEOUT_SECONDS;
        fwrite($socket, sprintf('GET %s%sticket=%s', $path, str_contains($path, '?') ? '&' : '?', rawurlencode($ticket)) . " HTTP/1.1\r\nHost: $host\r\nConnection: Upgrade\r\n"
            . "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " . base64_encode(random_bytes(16)) . "\r\n"
            . (null === $origin ? '' : "Origin: $origin\r\n") . "Sec-WebSocket-Protocol: orosync.1\r\n\r\n");
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
            1 === preg_match('~^HTTP/1\.1 101 .*^Sec-WebSocket-Protocol: orosync\.1\r$~ims', $head) => self::ACCEPTED,
            str_starts_with($head, 'HTTP/1.1 401 ') => self::TICKET_REJECTED,
            null !== $origin && str_starts_with($head, 'HTTP/1.1 403 ') => self::ORIGIN_REFUSED,
            default => self::OTHER_PROGRAM,
        };
    }

    /** @return array{string, string, string} the socket address, and host and path of the request */
    private static function parts(string $address): array
    {
        if (str_starts_with($address, 'unix:')) {
            return ['unix://' . substr($address, 5), 'localhost', '/'];
        }
        preg_match('~^(?:(wss?)://)?([^/]+)(/.*)?$~', $address, $parts);
        [$scheme, $authority, $path] = [$parts[1] ?? '', $parts[2] ?? $address, $parts[3] ?? '/'];
        $reachable = preg_replace(['~^0\.0\.0\.0:~', '~^\[::\]:~'], ['127.0.0.1:', '[::1]:'], $authority);

        return [('wss' === $scheme ? 'tls://' : 'tcp://') . $reachable, $authority, $path];
    }
}
