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
        // One grant that fails must not keep the page from all that the others and the policies allow.
        try {
            foreach ($this->grants as $grant) {
                try {
                    foreach ($grant->topicsFor($user) as $topic) {
                        $topics[$topic] = $topic;
                    }
                } catch (\Throwable $e) {
                    $this->logFailure($grant::class . ' grants nothing', $e);
                }
            }
        } catch (\Throwable $e) {
            // The container builds each in its turn, and goes no further.
            $this->logFailure('A topic grant cannot be built, those after it are not asked', $e);
        }

        return [] === $topics ? [] : ['topics' => array_values($topics)];
    }

    private function logFailure(string $what, \Throwable $e): void
    {
        $this->logger->error('{what}: {reason}', ['what' => $what, 'reason' => $e->getMessage(), 'exception' => $e]);
    }
}
