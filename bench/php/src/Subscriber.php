<?php

declare(strict_types=1);

namespace Orosync\Bench;

/** A minimal browser that only receives. */
final class Subscriber
{
    /** @var resource */
    private $socket;

    public function __construct(string $address, string $topic)
    {
        $this->socket = stream_socket_client("tcp://$address", $code, $message, 5.0);
        stream_set_timeout($this->socket, 10);
        stream_set_read_buffer($this->socket, 0);
        $lines = [
            'GET / HTTP/1.1', "Host: $address", 'Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13',
            'Sec-WebSocket-Key: ' . base64_encode(random_bytes(16)), 'Sec-WebSocket-Protocol: wamp',
        ];
        fwrite($this->socket, implode("\r\n", $lines) . "\r\n\r\n");
        for ($head = ''; !str_ends_with($head, "\r\n\r\n"); $head .= $this->read(1)) {
            continue;
        }
        $this->message();
        $this->send(json_encode([5, $topic]));
        // The answer to a later call confirms the subscription.
        $this->send('[2,"ready","orosync/session"]');
        $this->message();
    }

    /** The payload of the next event, and its arrival time on the clock of hrtime(). */
    public function event(): array
    {
        $message = $this->message();

        return [$message[2], hrtime(true)];
    }

    private function message(): array
    {
        $length = ord($this->read(2)[1]);
        if ($length === 126) {
            $length = unpack('n', $this->read(2))[1];
        }

        return json_decode($this->read($length), true, 512, JSON_THROW_ON_ERROR);
    }

    /** Sends a short text frame, masked with zeros. */
    private function send(string $text): void
    {
        fwrite($this->socket, pack('CCN', 0x81, 0x80 | strlen($text), 0) . $text);
    }

    private function read(int $length): string
    {
        for ($read = ''; strlen($read) < $length; $read .= $more) {
            $more = (string) fread($this->socket, $length - strlen($read));
            if ($more === '') {
                throw new \RuntimeException('the server sent nothing more');
            }
        }

        return $read;
    }
}
