<?php

declare(strict_types=1);

namespace Orosync\Tests\Application;

use Psr\Log\AbstractLogger;

/** Keeps log lines as "level: message" with the context inserted. */
final class RecordingLogger extends AbstractLogger
{
    /** @var list<string> */
    private array $lines = [];

    public function log($level, $message, array $context = []): void
    {
        $replacements = [];
        foreach ($context as $key => $value) {
            if (\is_scalar($value) || $value instanceof \Stringable) {
                $replacements['{' . $key . '}'] = (string) $value;
            }
        }
        $this->lines[] = $level . ': ' . strtr((string) $message, $replacements);
    }

    /** @return list<string> those that contain the text */
    public function lines(string $containing = ''): array
    {
        return array_values(array_filter($this->lines, static fn (string $line): bool => str_contains($line, $containing)));
    }
}
