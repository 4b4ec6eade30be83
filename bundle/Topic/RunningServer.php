<?php

declare(strict_types=1);

namespace Orosync\Topic;

/** Reads the current rules and the recent refusals of a running server from its `admin_bind`. */
final class RunningServer
{
    private const TIMEOUT_SECONDS = 5.0;
    private const MAX_BYTES = 4_194_304;

    /**
     * @param string $url `http://host:port` of the server's `admin_bind`
     *
     * @return array{topics: list<TopicRule>, allowed_origins: list<string>}
     *
     * @throws \RuntimeException with a remedy in its message
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
     * The server's refusals since its start, the latest first; bounded by the server.
     *
     * @param string $url as for {@see rules()}
     *
     * @return list<array{topic: string, action: string, reason: string, count: int, seconds_ago: int}>
     *
     * @throws \RuntimeException with a remedy in its message
     */
    public function refusals(string $url): array
    {
        [$url, $answer] = $this->ask($url, '/refusals');

        return \is_array($answer['refusals'] ?? null) ? array_values($answer['refusals']) : throw self::unlike($url);
    }

    /** @return array{string, mixed} URL and decoded answer */
    private function ask(string $url, string $path): array
    {
        $url = rtrim($url, '/') . $path;
        $context = stream_context_create(['http' => ['timeout' => self::TIMEOUT_SECONDS, 'ignore_errors' => true]]);
        $answer = @file_get_contents($url, false, $context, 0, self::MAX_BYTES);
        if (false === $answer) {
            throw new \RuntimeException(sprintf(
                'No answer from %s (%s). Check that the server is running, and pass its admin_bind with --server.',
                $url,
                error_get_last()['message'] ?? 'unknown reason',
            ));
        }
        $value = json_decode($answer, true);

        return \is_array($value) ? [$url, $value] : throw self::unlike($url, $answer);
    }

    private static function unlike(string $url, string $answer = ''): \RuntimeException
    {
        return new \RuntimeException(sprintf('The answer of %s is not one of orosync-server: %s', $url, substr($answer, 0, 200)));
    }
}
