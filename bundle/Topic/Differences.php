<?php

declare(strict_types=1);

namespace Orosync\Topic;

/** What a running server has in another way than the application, a sentence each. */
final class Differences
{
    /**
     * @param list<TopicRule>                                                   $rules   of the application
     * @param list<string>|null                                                 $origins of the application; null: those are left to the server
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
     * The server may have more rules than the application, but none that comes before one of the application's with the
     * same pattern, for the first decides; and those of the application in its order.
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
                $differences[] = sprintf('%s: the server does not have it.', $rule->pattern);
                continue;
            }
            if (!$found[$place]->allows($rule)) {
                $differences[] = sprintf(
                    '%s: the server says subscribe = "%s", publish = "%s", this application "%s" and "%s".',
                    $rule->pattern,
                    $found[$place]->subscribe,
                    $found[$place]->publish,
                    $rule->subscribe,
                    $rule->publish,
                );
            } elseif ($place < $last) {
                $differences[] = sprintf('%s: comes earlier in the server than here, and the first match decides.', $rule->pattern);
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
            $differences[] = sprintf('origin %s: the server does not allow it by name.', $origin);
        }
        foreach (array_diff($found, $wanted) as $origin) {
            $differences[] = sprintf('origin %s: the server allows it, this application does not name it.', $origin);
        }

        return $differences;
    }
}
