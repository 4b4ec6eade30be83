<?php

declare(strict_types=1);

namespace Orosync\Topic;

/** Differences between the rules of a running server and of the application, one sentence each. */
final class Differences
{
    /**
     * @param list<TopicRule>                                                   $rules   of the application
     * @param list<string>|null                                                 $origins of the application; null: configured in the server
     * @param array{topics: list<TopicRule>, allowed_origins: list<string>} $server  {@see RunningServer::rules()}
     *
     * @return list<string>
     */
    public static function between(array $rules, ?array $origins, array $server): array
    {
        return [
            ...self::ofTopics($rules, $server['topics']),
            ...(null === $origins ? [] : self::ofOrigins($origins, $server['allowed_origins'])),
        ];
    }

    /**
     * Compares topics. The server must have the application's rules in the same order. It may have more rules, but none with
     * the same pattern before one of the application's, because the first match decides.
     *
     * @param list<TopicRule> $wanted
     * @param list<TopicRule> $found
     *
     * @return list<string>
     */
    private static function ofTopics(array $wanted, array $found): array
    {
        $places = [];
        foreach ($found as $place => $rule) {
            $places[$rule->pattern] ??= $place;
        }
        $differences = [];
        $last = -1;
        foreach ($wanted as $rule) {
            $place = $places[$rule->pattern] ?? null;
            if (null === $place) {
                $differences[] = sprintf('%s: missing on the server.', $rule->pattern);
                continue;
            }
            if (!$found[$place]->allows($rule)) {
                $differences[] = sprintf(
                    '%s: the server has subscribe = "%s", publish = "%s"; this application has "%s" and "%s".',
                    $rule->pattern,
                    $found[$place]->subscribe,
                    $found[$place]->publish,
                    $rule->subscribe,
                    $rule->publish,
                );
            } elseif ($place < $last) {
                $differences[] = sprintf('%s: precedes another rule on the server but not here; the first match decides.', $rule->pattern);
            }
            $last = max($last, $place);
        }

        return $differences;
    }

    /**
     * @param list<string> $wanted
     * @param list<string> $found
     *
     * @return list<string>
     */
    private static function ofOrigins(array $wanted, array $found): array
    {
        $differences = [];
        foreach (array_diff($wanted, $found) as $origin) {
            $differences[] = sprintf('origin %s: not allowed by name on the server.', $origin);
        }
        foreach (array_diff($found, $wanted) as $origin) {
            $differences[] = sprintf('origin %s: allowed on the server, but not configured in this application.', $origin);
        }

        return $differences;
    }
}
