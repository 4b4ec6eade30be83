<?php

declare(strict_types=1);

namespace Orosync\Publishing;

/**
 * The extension's requirements for a message, for code that checks them without the extension: the in-memory publisher of
 * tests, the profiler, and the queue handler, which retries only valid messages.
 */
final class MessageEncoder
{
    private const MAX_TOPIC_BYTES = 255;
    private const MAX_PAYLOAD_BYTES = 1_048_576;

    /**
     * @return string the payload as JSON
     *
     * @throws UnsendableMessageException
     */
    public static function encode(string $topic, mixed $payload): string
    {
        if (1 !== preg_match('/^\P{Cc}+$/Du', $topic) || \strlen($topic) > self::MAX_TOPIC_BYTES) {
            throw new UnsendableMessageException(sprintf(
                'a topic must be 1 to %d bytes of UTF-8 without control characters',
                self::MAX_TOPIC_BYTES,
            ));
        }
        try {
            $json = json_encode($payload, \JSON_THROW_ON_ERROR | \JSON_UNESCAPED_SLASHES | \JSON_UNESCAPED_UNICODE);
        } catch (\JsonException $e) {
            throw new UnsendableMessageException('the payload cannot be encoded as JSON: ' . $e->getMessage(), 0, $e);
        }
        if (\strlen($json) > self::MAX_PAYLOAD_BYTES) {
            throw new UnsendableMessageException(sprintf(
                'the payload has %d bytes of JSON; the limit is %d',
                \strlen($json),
                self::MAX_PAYLOAD_BYTES,
            ));
        }

        return $json;
    }
}
