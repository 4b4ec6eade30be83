<?php

declare(strict_types=1);

namespace Orosync\Test;

/** The published messages, as shown by a failed assertion. Bounds: number of messages, bytes of each. */
final class PublishedList
{
    private const MESSAGES = 20;
    private const BYTES = 400;

    public static function of(InMemoryPublisher $publisher): string
    {
        $lines = [];
        foreach ($publisher->messages() as $message) {
            $lines[] = '  ' . $message->topic . '  ' . self::cut($message->json);
        }
        $text = [] === $lines ? 'Nothing was published.' : self::section('Published:', $lines);
        $refusals = array_map(static fn (string $refusal): string => '  ' . self::cut($refusal), $publisher->refusals());

        return [] === $refusals ? $text : $text . "\n" . self::section('Refused:', $refusals);
    }

    /** @param list<string> $lines */
    private static function section(string $title, array $lines): string
    {
        $more = \count($lines) - self::MESSAGES;
        $shown = \array_slice($lines, 0, self::MESSAGES);

        return implode("\n", [$title, ...$shown, ...($more > 0 ? [sprintf('  and %d more', $more)] : [])]);
    }

    private static function cut(string $text): string
    {
        return \strlen($text) > self::BYTES
            ? sprintf('%s… (%d bytes)', mb_scrub(substr($text, 0, self::BYTES), 'UTF-8'), \strlen($text))
            : $text;
    }
}
