<?php

declare(strict_types=1);

namespace Orosync\Topic;

/** Asks a running server at its `admin_bind` which rules are in force, and what it has refused. */
final class RunningServer
{
    private const TIMEOUT_SECONDS = 5.0;
    private const MAX_BYTES = 4_194_304;

    /**
     * @param string $url `http://host:port` of the server's `admin_bind`
     *
     * @return array{topics: list<TopicRule>, allowed_origins: list<string>}
     *
     * @throws \RuntimeException it says what to do
     */
    public function rules(string $url): array
    {
        [$url, $rules] = $this->ask($url, '/topics');
        if (!\is_array($rules['topics'] ?? null) || !\is_array($rules['allowed_origins'] ?? null)) {
            throw self::unlike($url);
        }

        return [
            'topics' => array_map(static fn (array $rule): TopicRule => new TopicRule(
                $rule['pattern'],
                $rule['subscribe'],
                $rule['publish'],
            ), array_values($rules['topics'])),
            'allowed_origins' => array_values($rules['allowed_origins']),
        ];
    }

    /**
     * What the server has refused since its start, the latest first; bounded there.
     *
     * @param string $url as for {@see rules()}
     *
     * @return list<array{topic: string, action: string, reason: string, count: int, seconds_ago: int}>
     *
     * @throws \RuntimeException it says what to do
     */
    public function refusals(string $url): array
    {
        [$url, $answer] = $this->ask($url, '/refusals');

        return \is_array($answer['refusals'] ?? null) ? array_values($answer['refusals']) : throw self::unlike($url);
    }

    /** @return array{string, mixed} where it was asked, and what it has said */
    private function ask(string $url, string $path): array
    {
        $url = rtrim($url, '/') . $path;
        $context = stream_context_create(['http' => ['timeout' => self::TIMEOUT_SECONDS, 'ignore_errors' => true]]);
        $answer = @file_get_contents($url, false, $context, 0, self::MAX_BYTES);
        if (false === $answer) {
            throw new \RuntimeException(sprintf(
                'No answer from %s (%s). Is the server running, and is that its admin_bind? Say it with --server.',
                $url,
                error_get_last()['message'] ?? 'unknown reason',
            ));
        }
        $value = json_decode($answer, true);

        return \is_array($value) ? [$url, $value] : throw self::unlike($url, $answer);
    }

    private static function unlike(string $url, string $answer = ''): \RuntimeException
    {
        return new \RuntimeException(sprintf('%s does not answer as orosync-server does: %s', $url, substr($answer, 0, 200)));
    }
}
