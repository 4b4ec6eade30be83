<?php

declare(strict_types=1);

namespace Orosync\Tests\FreshApplication;

use PHPUnit\Framework\Assert;

/** A minimal WAMP v1 client: sends masked text frames, reads unfragmented ones. */
final class WampClient
{
    private const SECONDS = 20;

    /** @var resource */
    private $socket;

    /** @var list<array{string, mixed}> events that came before somebody asked for them */
    private array $events = [];

    private int $calls = 0;

    /** @param string $url of a page's configuration, with the ticket */
    public function __construct(string $url)
    {
        $parts = parse_url($url);
        $this->socket = stream_socket_client('tcp://' . $parts['host'] . ':' . $parts['port'], timeout: self::SECONDS);
        stream_set_timeout($this->socket, self::SECONDS);
        fwrite($this->socket, implode("\r\n", [
            sprintf('GET %s?%s HTTP/1.1', $parts['path'], $parts['query'] ?? ''),
            'Host: ' . $parts['host'],
            'Connection: Upgrade',
            'Upgrade: websocket',
            'Sec-WebSocket-Version: 13',
            'Sec-WebSocket-Key: ' . base64_encode(random_bytes(16)),
            'Sec-WebSocket-Protocol: wamp',
        ]) . "\r\n\r\n");
        Assert::assertStringContainsString(' 101 ', (string) fgets($this->socket));
        while ("\r\n" !== ($line = fgets($this->socket))) {
            Assert::assertIsString($line, 'the handshake ends');
        }
        Assert::assertSame(0, $this->receive()[0], 'WELCOME comes first');
    }

    public function __destruct()
    {
        fclose($this->socket);
    }

    /** Waits until the server has processed it: until the answer to a later call. */
    public function subscribe(string $topic): void
    {
        $this->send([5, $topic]);
        $call = 'call-' . ++$this->calls;
        $this->send([2, $call, 'acme:none']);
        do {
            $message = $this->receive();
        } while ($call !== $message[1]);
    }

    /** @return array{string, mixed} topic and payload of the next event, which is waited for */
    public function next(): array
    {
        while ([] === $this->events) {
            $this->receive();
        }

        return array_shift($this->events);
    }

    /** Waits for the end of the connection. Returns false on timeout. */
    public function ends(): bool
    {
        while (!\in_array(fread($this->socket, 8192), [false, ''], true)) {
        }

        return feof($this->socket);
    }

    private function send(array $message): void
    {
        $text = json_encode($message, \JSON_THROW_ON_ERROR | \JSON_UNESCAPED_SLASHES);
        Assert::assertLessThan(126, \strlen($text));
        // A mask of zeros leaves the data unchanged.
        fwrite($this->socket, "\x81" . \chr(0x80 | \strlen($text)) . "\0\0\0\0" . $text);
    }

    private function receive(): array
    {
        do {
            [$opcode, $length] = [\ord($this->read(1)) & 0x0F, \ord($this->read(1))];
            $length = match ($length) {
                126 => unpack('n', $this->read(2))[1],
                127 => unpack('J', $this->read(8))[1],
                default => $length,
            };
            $text = $this->read($length);
        } while (9 === $opcode);
        Assert::assertSame(1, $opcode, 'a text frame');
        $message = json_decode($text, true, 512, \JSON_THROW_ON_ERROR);
        if (8 === $message[0]) {
            $this->events[] = [$message[1], $message[2]];
        }

        return $message;
    }

    private function read(int $length): string
    {
        $bytes = '';
        while (\strlen($bytes) < $length) {
            $more = fread($this->socket, $length - \strlen($bytes));
            if (false === $more || '' === $more) {
                Assert::fail(sprintf('Nothing from the server within %d seconds.', self::SECONDS));
            }
            $bytes .= $more;
        }

        return $bytes;
    }
}
