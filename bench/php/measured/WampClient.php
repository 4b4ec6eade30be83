<?php

declare(strict_types=1);

namespace Orosync\Bench\Measured;

/**
 * A WAMP client like OroPlatform's: a socket per request, a handshake with a ticket, then one masked text frame per message,
 * written by the publishing call. It does not set TCP_NODELAY and waits for no answer.
 */
final class WampClient
{
    /** @var resource */
    private $socket;

    public function __construct(string $address, string $ticket, bool $noDelay = false)
    {
        $context = stream_context_create(['socket' => ['tcp_nodelay' => $noDelay]]);
        $this->socket = stream_socket_client("tcp://$address", $code, $message, 1.0, STREAM_CLIENT_CONNECT, $context);
        stream_set_timeout($this->socket, 1);
        $lines = [
            'GET /?ticket=' . rawurlencode($ticket) . ' HTTP/1.1',
            "Host: $address",
            'Upgrade: WebSocket',
            'Connection: Upgrade',
            'Sec-WebSocket-Key: ' . base64_encode(random_bytes(16)),
            'Sec-WebSocket-Version: 13',
            'Sec-WebSocket-Protocol: wamp',
            'Origin: 127.0.0.1',
        ];
        fwrite($this->socket, implode("\r\n", $lines) . "\r\n\r\n");
        // The 101 response and the WELCOME frame, which ends with its JSON array.
        $answer = '';
        while (!str_contains($answer, '[0,') || !str_ends_with($answer, ']')) {
            $read = (string) fread($this->socket, 8192);
            if ($read === '') {
                throw new \RuntimeException("no WELCOME: $answer");
            }
            $answer .= $read;
        }
    }

    public function publish(string $topic, mixed $payload): void
    {
        $text = json_encode([7, $topic, $payload, [], []], JSON_THROW_ON_ERROR);
        $length = strlen($text);
        $head = $length < 126 ? pack('CC', 0x81, 0x80 | $length) : pack('CCn', 0x81, 0x80 | 126, $length);
        $mask = random_bytes(4);
        for ($i = 0; $i < $length; ++$i) {
            $text[$i] = $text[$i] ^ $mask[$i % 4];
        }
        fwrite($this->socket, $head . $mask . $text);
    }

    /** Drops the socket without a Close frame, as Oro's client does. */
    public function disconnect(): void
    {
        fclose($this->socket);
    }
}
