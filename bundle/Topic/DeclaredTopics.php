<?php

declare(strict_types=1);

namespace Orosync\Topic;

/**
 * The topics that the application declares (`orosync.topics`, {@see Topic}) and those built into the server.
 *
 * Without declarations, topics are configured in the server itself. They are not known here, so every topic is accepted.
 */
final class DeclaredTopics implements TopicSourceInterface
{
    /** `server/src/policy/oro.rs` and the topic of {@see \Orosync\Session\SessionTerminator}. */
    public const BUILT_IN = [
        'orosync/disconnect',
        'oro/ping',
        'oro/maintenance',
        'oro/data/update',
        'oro/message_queue_heartbeat',
        'oro/outdated_user_page',
        'oro/email_event/{user_id:int}/{organization_id:int_or_star}',
        'oro/attribute_import/{user_id:int}/{config_model_id:int}',
        'oro/reminder_remind/{user_id:int}',
        'oro/imap_sync_fail/*',
        'oro/imap_sync_fail/{user_id:int}',
        'oro/reminder/remind_user_{user_id:int}',
        'oro/email_event/user_{user_id:int}_org_{organization_id:int}',
        'oro/attribute_import/user_{user_id:int}_configmodel_{config_model_id:int}',
        'oro/imap_sync_fail_u_{user_id:int}',
        'oro/imap_sync_fail_system',
    ];

    /** Maximum edit distance of a suggestion; also at most a quarter of the name. */
    private const SLIP = 2;

    /** Maximum length for a comparison: longer names are not valid topics. */
    private const MAX_TOPIC_BYTES = 255;

    /**
     * @param list<array{pattern: string, subscribe: string, publish: string, origin: string}> $topics in their order
     * @param bool $areAll false: others may be declared elsewhere, as in an Oro application
     */
    public function __construct(
        private readonly array $topics = [],
        private readonly bool $areAll = true,
    ) {
    }

    /** @return list<TopicRule> in order */
    public function rules(): array
    {
        return array_map(static fn (array $topic): TopicRule => new TopicRule(...$topic), $this->topics);
    }

    public function translation(): Translation
    {
        return new Translation($this->rules(), [], []);
    }

    public function allowedOrigins(): ?array
    {
        return null;
    }

    /** Why messages to this topic will not be delivered; null: no problem known. */
    public function problem(string $topic): ?string
    {
        if ([] === $this->topics || !$this->areAll) {
            return null;
        }
        $patterns = array_map(
            static fn (string $pattern): TopicPattern => new TopicPattern($pattern),
            [...array_column($this->topics, 'pattern'), ...self::BUILT_IN],
        );
        foreach ($patterns as $pattern) {
            if ($pattern->matches($topic)) {
                return null;
            }
        }
        $nearest = self::nearest($topic, $patterns);

        return sprintf(
            'not delivered: "%s" is not declared.%s Declare it in orosync.topics',
            $topic,
            null === $nearest ? '' : sprintf(' Did you mean "%s"?', $nearest->pattern),
        );
    }

    /** @param list<TopicPattern> $patterns */
    private static function nearest(string $topic, array $patterns): ?TopicPattern
    {
        $topic = substr($topic, 0, self::MAX_TOPIC_BYTES);
        $nearest = null;
        $least = 1 + max(self::SLIP, intdiv(\strlen($topic), 4));
        foreach ($patterns as $pattern) {
            $distance = levenshtein($topic, $pattern->like($topic));
            if ($distance < $least) {
                [$least, $nearest] = [$distance, $pattern];
            }
        }

        return $nearest;
    }
}
