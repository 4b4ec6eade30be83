<?php

declare(strict_types=1);

namespace Orosync\Publishing;

use Psr\Log\LoggerInterface;

/**
 * Warns once of each topic whose messages the server delivers to nobody, however many requests and processes publish to it.
 *
 * Owns a file of the topics that were warned of; bound: MAX_TOPICS of a day, further ones are in the server's own log alone.
 * Where the file cannot be written, every request that learns of a refusal warns of it.
 */
final class RefusalLog
{
    private const MAX_TOPICS = 50;
    private const FORGOTTEN_AFTER_SECONDS = 86_400;
    private const MAX_FILE_BYTES = 65_536;

    public function __construct(
        private readonly string $file,
        private readonly LoggerInterface $logger,
    ) {
    }

    /** @param list<array{topic: string, reason: string, messages: int}> $refusals of the server, the latest first */
    public function met(array $refusals): void
    {
        if ([] === $refusals) {
            return;
        }
        foreach ($this->unheardOf($refusals) as $refusal) {
            $this->logger->warning(
                'The server delivers messages to {topic} to nobody: {reason}',
                ['topic' => $refusal['topic'], 'reason' => $refusal['reason'], 'messages' => $refusal['messages']],
            );
        }
    }

    /**
     * @param non-empty-list<array{topic: string, reason: string, messages: int}> $refusals
     *
     * @return list<array{topic: string, reason: string, messages: int}>
     */
    private function unheardOf(array $refusals): array
    {
        @mkdir(\dirname($this->file), recursive: true);
        $file = @fopen($this->file, 'c+');
        if (false === $file || !flock($file, \LOCK_EX)) {
            return $refusals;
        }
        try {
            $known = json_decode((string) stream_get_contents($file, self::MAX_FILE_BYTES), true);
            if (!\is_array($known) || time() - ($known['since'] ?? 0) > self::FORGOTTEN_AFTER_SECONDS) {
                $known = ['since' => time(), 'topics' => []];
            }
            $isNew = static fn (array $refusal): bool => !\in_array($refusal['topic'], $known['topics'], true);
            $new = \array_slice(array_values(array_filter($refusals, $isNew)), 0, self::MAX_TOPICS - \count($known['topics']));
            if ([] !== $new) {
                array_push($known['topics'], ...array_column($new, 'topic'));
                ftruncate($file, 0);
                rewind($file);
                fwrite($file, json_encode($known, \JSON_THROW_ON_ERROR));
            }

            return $new;
        } finally {
            fclose($file);
        }
    }
}
