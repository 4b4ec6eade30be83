<?php

declare(strict_types=1);

namespace Orosync\Publishing;

/**
 * The form that the extension demands of a message, for those who must know without it: the in-memory publisher of
 * tests, the profiler, and the queue that asks whether another attempt makes sense.
 */
final class MessageForm
{
    private const MAX_TOPIC_BYTES = 255;
    private const MAX_PAYLOAD_BYTES = 1_048_576;

    /**
     * @return string the payload's JSON, as pages get it
     *
     * @throws UnsendableMessageException
     */
    public static function encode(string $topic, mixed $payload): string
    {
        if (1 !== preg_match('/^\P{Cc}+$/Du', $topic) || \strlen($topic) > self::MAX_TOPIC_BYTES) {
            throw new UnsendableMessageException(sprintf(
                'a topic has 1 to %d bytes of UTF-8, without control characters',
                self::MAX_TOPIC_BYTES,
            ));
        }
        try {
            $json = json_encode($payload, \JSON_THROW_ON_ERROR | \JSON_UNESCAPED_SLASHES | \JSON_UNESCAPED_UNICODE);
        } catch (\JsonException $e) {
            throw new UnsendableMessageException('the payload is no JSON: ' . $e->getMessage(), 0, $e);
        }
        if (\strlen($json) > self::MAX_PAYLOAD_BYTES) {
            throw new UnsendableMessageException(sprintf(
                'the payload has %d bytes of JSON, at most %d are possible',
                \strlen($json),
                self::MAX_PAYLOAD_BYTES,
            ));
        }

        return $json;
    }
}
