<?php

declare(strict_types=1);

namespace Orosync\Profiler;

use Orosync\Topic\DeclaredTopics;
use Orosync\Twig\LivePage;

/** Facts about the page of a request for the profiler: its user, its content tags, and the topics that it may subscribe to. */
final class PageFacts
{
    /** Topics that `<orosync-page>` subscribes to itself: js/src/content-tracker.js, js/src/maintenance.js. */
    private const BY_ITSELF = ['oro/data/update' => 'the page, for its content tags', 'oro/maintenance' => 'the page'];

    public function __construct(
        private readonly LivePage $page,
        private readonly DeclaredTopics $topics,
    ) {
    }

    /**
     * @return array{tags: list<string>, client: array<string, int|string|null>|null, topics: list<array{topic: string,
     *   subscribe: string, by: string}>} `client`: null if the page does not connect
     */
    public function all(): array
    {
        $client = $this->page->element()?->client;
        $tags = $this->page->tags();

        return ['tags' => $tags, 'client' => $client, 'topics' => null === $client ? [] : $this->topics($tags, $client['userId'])];
    }

    /**
     * @param list<string> $tags
     *
     * @return list<array{topic: string, subscribe: string, by: string}>
     */
    private function topics(array $tags, int|string|null $userId): array
    {
        $topics = [];
        foreach ([] === $tags ? ['oro/maintenance'] : array_keys(self::BY_ITSELF) as $topic) {
            $topics[] = ['topic' => $topic, 'subscribe' => '', 'by' => self::BY_ITSELF[$topic]];
        }
        foreach ($this->topics->rules() as $rule) {
            // With the id of this page's user, ready to copy.
            $topic = null === $userId
                ? $rule->pattern
                : preg_replace_callback('~\{(?:uid|user_id)(?::\w+)?\}~', static fn (): string => (string) $userId, $rule->pattern);
            $topics[] = ['topic' => $topic, 'subscribe' => $rule->subscribe, 'by' => 'scripts of the page'];
        }

        return $topics;
    }
}
