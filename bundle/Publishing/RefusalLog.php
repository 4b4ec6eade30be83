<?php

declare(strict_types=1);

namespace Orosync\Publishing;

use Psr\Log\LoggerInterface;

/**
 * Logs a warning once a day for each topic whose messages the server refuses, for all requests and processes.
 *
 * A PHP process lists refused topics for its lifetime, so a warning is repeated only if that process had more messages refused.
 * Owns a file with the warned topics, the time of the warning, and the number of messages of each process. Bounds: MAX_TOPICS
 * warnings per day, MAX_PROCESSES processes per topic; further refusals are only in the server's own log. If the file cannot be
 * opened, each object warns once per topic.
 */
final class RefusalLog
{
    private const MAX_TOPICS = 50;
    private const MAX_PROCESSES = 32;
    private const AGAIN_AFTER_SECONDS = 86_400;
    private const MAX_FILE_BYTES = 131_072;

    /** @var array<string, int> refused messages by topic at the last call */
    private array $seen = [];

    /** @var array<string, true> topics warned of without the file */
    private array $warnedWithoutFile = [];

    public function __construct(
        private readonly string $file,
        private readonly LoggerInterface $logger,
    ) {
    }

    /** @param list<array{topic: string, reason: string, messages: int}> $refusals refusals of the server, the latest first */
    public function record(array $refusals): void
    {
        $isMore = fn (array $refusal): bool => $refusal['messages'] !== ($this->seen[$refusal['topic']] ?? 0);
        $more = array_values(array_filter($refusals, $isMore));
        $this->seen = array_column($refusals, 'messages', 'topic');
        if ([] === $more) {
            return;
        }
        foreach ($this->newOnes($more) as $refusal) {
            $this->logger->warning(
                'The server does not deliver messages to {topic}: {reason}',
                ['topic' => $refusal['topic'], 'reason' => $refusal['reason'], 'messages' => $refusal['messages']],
            );
        }
    }

    /**
     * @param non-empty-list<array{topic: string, reason: string, messages: int}> $refusals
     *
     * @return list<array{topic: string, reason: string, messages: int}>
     */
    private function newOnes(array $refusals): array
    {
        $known = self::decoded((string) @file_get_contents($this->file, false, null, 0, self::MAX_FILE_BYTES));
        if ([] === array_filter($refusals, static fn (array $refusal): bool => !self::isKnown($refusal, $known))) {
            return [];
        }
        @mkdir(\dirname($this->file), recursive: true);
        $file = @fopen($this->file, 'c+');
        if (false === $file || !flock($file, \LOCK_EX)) {
            return $this->newWithoutFile($refusals);
        }
        try {
            $before = self::decoded((string) stream_get_contents($file, self::MAX_FILE_BYTES));
            [$new, $after] = self::compared($refusals, $before);
            if ($after !== $before) {
                $text = json_encode($after, \JSON_THROW_ON_ERROR | \JSON_UNESCAPED_SLASHES | \JSON_UNESCAPED_UNICODE);
                ftruncate($file, 0);
                rewind($file);
                fwrite($file, $text);
            }

            return $new;
        } finally {
            fclose($file);
        }
    }

    /**
     * @param list<array{topic: string, reason: string, messages: int}>     $refusals
     * @param array<string, array{warned: int, messages: array<int, int>}> $known
     *
     * @return array{list<array{topic: string, reason: string, messages: int}>, array<string, array{warned: int, messages:
     *   array<int, int>}>} refusals to warn of, and the new content of the file
     */
    private static function compared(array $refusals, array $known): array
    {
        $process = getmypid();
        $warnings = \count(array_filter($known, self::isOfToday(...)));
        $new = [];
        foreach ($refusals as $refusal) {
            $topic = $known[$refusal['topic']] ?? ['warned' => 0, 'messages' => []];
            if (self::isKnown($refusal, $known)) {
                continue;
            }
            // The refusals of a process that is not in the file may be old; only a further one is reported.
            $isNews = 0 === $topic['warned'] || isset($topic['messages'][$process]);
            if ($isNews && $warnings >= self::MAX_TOPICS) {
                continue;
            }
            if ($isNews) {
                $new[] = $refusal;
                ++$warnings;
                $topic['warned'] = time();
            }
            unset($topic['messages'][$process]);
            $topic['messages'][$process] = $refusal['messages'];
            $topic['messages'] = \array_slice($topic['messages'], -self::MAX_PROCESSES, null, true);
            unset($known[$refusal['topic']]);
            $known[$refusal['topic']] = $topic;
        }
        // At most MAX_TOPICS are of today; older ones are dropped first.
        uasort($known, static fn (array $one, array $other): int => $one['warned'] <=> $other['warned']);

        return [$new, \array_slice($known, -self::MAX_TOPICS, null, true)];
    }

    /**
     * Whether the topic was warned of today, or this process has had nothing more refused since.
     *
     * @param array{topic: string, reason: string, messages: int}          $refusal
     * @param array<string, array{warned: int, messages: array<int, int>}> $known
     */
    private static function isKnown(array $refusal, array $known): bool
    {
        $topic = $known[$refusal['topic']] ?? null;

        return null !== $topic && (self::isOfToday($topic) || $refusal['messages'] === ($topic['messages'][getmypid()] ?? null));
    }

    /** @param array{warned: int} $topic */
    private static function isOfToday(array $topic): bool
    {
        return time() - $topic['warned'] <= self::AGAIN_AFTER_SECONDS;
    }

    /** @return array<string, array{warned: int, messages: array<int, int>}> by topic; empty: the file has another format */
    private static function decoded(string $text): array
    {
        $known = json_decode($text, true);
        $isTopic = static fn (mixed $topic): bool => \is_int($topic['warned'] ?? null) && \is_array($topic['messages'] ?? null);

        return \is_array($known) ? array_filter($known, $isTopic) : [];
    }

    /**
     * @param list<array{topic: string, reason: string, messages: int}> $refusals
     *
     * @return list<array{topic: string, reason: string, messages: int}>
     */
    private function newWithoutFile(array $refusals): array
    {
        $isNew = fn (array $refusal): bool => !isset($this->warnedWithoutFile[$refusal['topic']]);
        $new = \array_slice(array_values(array_filter($refusals, $isNew)), 0, self::MAX_TOPICS - \count($this->warnedWithoutFile));
        $this->warnedWithoutFile += array_fill_keys(array_column($new, 'topic'), true);

        return $new;
    }
}
