<?php

declare(strict_types=1);

namespace Orosync\Topic;

/** Writes topics in the format of the server's configuration. */
final class TopicsFile
{
    /**
     * @param list<TopicRule>   $rules
     * @param list<string>      $builtIn patterns that are left out because they are built into the server
     * @param list<string>|null $origins hosts whose pages may connect; null: configured in the server
     */
    public static function toml(array $rules, array $builtIn, ?array $origins): string
    {
        $lines = [sprintf(
            '# Topics%s of this application. Written by: bin/console orosync:topics:export',
            null === $origins ? '' : ' and origins',
        )];
        if ([] !== $builtIn) {
            $lines[] = '# Built into the server, therefore omitted: ' . implode(', ', $builtIn);
        }
        if (null !== $origins) {
            array_push($lines, '', '[auth]', 'allowed_origins = [' . implode(', ', array_map(self::text(...), $origins)) . ']');
        }
        foreach ($rules as $rule) {
            array_push(
                $lines,
                '',
                '# ' . $rule->origin,
                '[[topics]]',
                'pattern = ' . self::text($rule->pattern),
                'subscribe = ' . self::text($rule->subscribe),
                'publish = ' . self::text($rule->publish),
            );
        }

        return implode("\n", $lines) . "\n";
    }

    /** TOML's basic strings use the escapes of JSON. */
    private static function text(string $text): string
    {
        return json_encode($text, \JSON_THROW_ON_ERROR | \JSON_UNESCAPED_SLASHES | \JSON_UNESCAPED_UNICODE);
    }
}
