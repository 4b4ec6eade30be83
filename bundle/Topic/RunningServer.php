<?php

declare(strict_types=1);

namespace Orosync\Topic;

/** Asks a running server which rules are in force, at its `admin_bind`. */
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
        $url = rtrim($url, '/') . '/topics';
        $context = stream_context_create(['http' => ['timeout' => self::TIMEOUT_SECONDS, 'ignore_errors' => true]]);
        $answer = @file_get_contents($url, false, $context, 0, self::MAX_BYTES);
        if (false === $answer) {
            throw new \RuntimeException(sprintf(
                'No answer from %s (%s). Is the server running, and is that its admin_bind? Say it with --server.',
                $url,
                error_get_last()['message'] ?? 'unknown reason',
            ));
        }
        $rules = json_decode($answer, true);
        if (!\is_array($rules) || !\is_array($rules['topics'] ?? null) || !\is_array($rules['allowed_origins'] ?? null)) {
            throw new \RuntimeException(sprintf('%s does not answer as orosync-server does: %s', $url, substr($answer, 0, 200)));
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
}
