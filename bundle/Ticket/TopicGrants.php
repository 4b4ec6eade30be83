<?php

declare(strict_types=1);

namespace Orosync\Ticket;

use Psr\Log\LoggerInterface;
use Symfony\Component\Security\Core\Authentication\Token\Storage\TokenStorageInterface;
use Symfony\Component\Security\Core\User\UserInterface;

/** All that an application grants a user beyond the server's policies; a ticket carries it as the claim `topics`. */
final class TopicGrants
{
    /** @param iterable<TopicGrantInterface> $grants */
    public function __construct(
        private readonly iterable $grants,
        private readonly ?TokenStorageInterface $tokens,
        private readonly LoggerInterface $logger,
    ) {
    }

    /** @return array{topics?: list<string>} for the claims of a ticket; empty: nothing is granted */
    public function claimForCurrentUser(): array
    {
        $user = $this->tokens?->getToken()?->getUser();

        return $user instanceof UserInterface ? $this->claimFor($user) : [];
    }

    /** @return array{topics?: list<string>} likewise */
    public function claimFor(UserInterface $user): array
    {
        $topics = [];
        foreach ($this->grants as $grant) {
            try {
                foreach ($grant->topicsFor($user) as $topic) {
                    $topics[$topic] = $topic;
                }
            } catch (\Throwable $e) {
                // One grant that fails must not keep the page from all that the others and the policies allow.
                $this->logger->error('{grant} grants nothing: {reason}', [
                    'grant' => $grant::class,
                    'reason' => $e->getMessage(),
                    'exception' => $e,
                ]);
            }
        }

        return [] === $topics ? [] : ['topics' => array_values($topics)];
    }
}
