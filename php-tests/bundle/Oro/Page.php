<?php

declare(strict_types=1);

namespace Orosync\Tests\Oro;

use PHPUnit\Framework\Assert;

/** A client like Oro's JavaScript: a WebSocket with the subprotocol `wamp`, opened with a ticket. */
final class Page
{
    private const SECONDS = 20;

    /** @param resource $socket */
    private function __construct(private $socket)
    {
    }

    public static function open(int $port, string $ticket, string $origin = 'http://127.0.0.1'): self
    {
        [$socket, $head] = self::shake($port, $ticket, $origin);
        Assert::assertStringStartsWith('HTTP/1.1 101 ', $head);
        Assert::assertStringContainsStringIgnoringCase("sec-websocket-protocol: wamp\r\n", $head);
        $page = new self($socket);
        Assert::assertSame(0, $page->receive()[0], 'WELCOME');

        return $page;
    }

    /** @return string the first line of the answer */
    public static function answer(int $port, string $ticket, string $origin): string
    {
        [$socket, $head] = self::shake($port, $ticket, $origin);
        fclose($socket);

        return strtok($head, "\r\n");
    }

    /** @return array{resource, string} the connection and the head of the answer */
    private static function shake(int $port, string $ticket, string $origin): array
    {
        $socket = stream_socket_client('tcp://127.0.0.1:' . $port, $code, $message, self::SECONDS) ?: Assert::fail($message);
        stream_set_timeout($socket, self::SECONDS);
        fwrite($socket, implode("\r\n", [
            'GET /ws?ticket=' . rawurlencode($ticket) . ' HTTP/1.1',
            'Host: 127.0.0.1:' . $port,
            'Origin: ' . $origin,
            'Upgrade: websocket',
            'Connection: Upgrade',
            'Sec-WebSocket-Version: 13',
            'Sec-WebSocket-Key: ' . base64_encode(random_bytes(16)),
            'Sec-WebSocket-Protocol: wamp',
        ]) . "\r\n\r\n");
        $head = '';
        while (!str_ends_with($head, "\r\n\r\n") && !feof($socket)) {
            $head .= fgets($socket);
        }

        return [$socket, $head];
    }

    public function subscribe(string $topic): void
    {
        $this->send([5, $topic]);
    }

    /** @param list<mixed> $message of WAMP v1 */
    public function send(array $message): void
    {
        $text = json_encode($message, \JSON_THROW_ON_ERROR);
        Assert::assertLessThan(126, \strlen($text));
        $mask = random_bytes(4);
        fwrite($this->socket, "\x81" . \chr(0x80 | \strlen($text)) . $mask . ($text ^ str_repeat($mask, 32)));
    }

    /** Waits until the server has processed all earlier messages: until its answer to an unknown call. */
    public function settle(): void
    {
        $this->send([2, 'settle', 'acme/settle']);
        Assert::assertSame([4, 'settle'], \array_slice($this->receive(), 0, 2));
    }

    /** @return list<mixed> the next message, which is waited for */
    public function receive(): array
    {
        [$opcode, $text] = $this->frame();
        while (9 === $opcode) {
            [$opcode, $text] = $this->frame();
        }
        Assert::assertSame(1, $opcode, 'a text frame, and no end of the session');

        return json_decode($text, true, 512, \JSON_THROW_ON_ERROR);
    }

    public function close(): void
    {
        fclose($this->socket);
    }

    /** @return array{int, string} opcode and payload */
    private function frame(): array
    {
        $head = $this->bytes(2);
        $length = \ord($head[1]) & 0x7F;
        if (126 === $length) {
            $length = unpack('n', $this->bytes(2))[1];
        } elseif (127 === $length) {
            $length = unpack('J', $this->bytes(8))[1];
        }

        return [\ord($head[0]) & 0x0F, $this->bytes($length)];
    }

    private function bytes(int $count): string
    {
        $bytes = '';
        while (\strlen($bytes) < $count) {
            $more = fread($this->socket, $count - \strlen($bytes));
            if (false === $more || ('' === $more && (feof($this->socket) || stream_get_meta_data($this->socket)['timed_out']))) {
                Assert::fail(sprintf('The server sent nothing more within %d seconds.', self::SECONDS));
            }
            $bytes .= $more;
        }

        return $bytes;
    }
}
