<?php

declare(strict_types=1);

namespace Orosync\Ticket;

use Orosync\Entry\Guard;
use Symfony\Component\Security\Core\Authentication\Token\Storage\TokenStorageInterface;
use Symfony\Component\Security\Core\User\UserInterface;

/** All topics that the application grants a user, without duplicates. */
final class TopicGrants
{
    /** @param iterable<TopicGrantInterface> $grants */
    public function __construct(
        private readonly iterable $grants,
        private readonly ?TokenStorageInterface $tokens,
        private readonly Guard $guard,
    ) {
    }

    /** @return list<Grant> */
    public function forCurrentUser(): array
    {
        $user = $this->tokens?->getToken()?->getUser();

        return $user instanceof UserInterface ? $this->forUser($user) : [];
    }

    /** @return list<Grant> */
    public function forUser(UserInterface $user): array
    {
        $granted = [];
        // A failing service must not affect the grants of the others.
        try {
            foreach ($this->grants as $service) {
                try {
                    foreach ($service->topicsFor($user) as $topic) {
                        $grant = new Grant($topic, get_debug_type($service));
                        $key = \is_string($grant->text) ? 'string ' . $grant->text : get_debug_type($grant->text);
                        $granted[$grant->claim][$key] ??= $grant;
                    }
                } catch (\Throwable $e) {
                    $this->guard->note(get_debug_type($service) . ' failed and grants nothing', $e);
                }
            }
        } catch (\Throwable $e) {
            // The container builds the services one by one, and stops at the first failure.
            $this->guard->note('A topic grant service cannot be built; later ones are skipped', $e);
        }

        return array_merge(...array_map(array_values(...), array_values($granted)));
    }
}
