<?php

declare(strict_types=1);

namespace Orosync\Ticket;

use Orosync\Entry\Guard;
use Symfony\Component\Security\Core\Authentication\Token\Storage\TokenStorageInterface;
use Symfony\Component\Security\Core\User\UserInterface;

/** All that an application grants a user beyond the server's policies, each once. */
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
        // One service that fails must not keep the page from all that the others and the policies allow.
        try {
            foreach ($this->grants as $service) {
                try {
                    foreach ($service->topicsFor($user) as $topic) {
                        $grant = new Grant($topic, get_debug_type($service));
                        $key = \is_string($grant->text) ? 'string ' . $grant->text : get_debug_type($grant->text);
                        $granted[$grant->claim][$key] ??= $grant;
                    }
                } catch (\Throwable $e) {
                    $this->guard->note(get_debug_type($service) . ' grants nothing', $e);
                }
            }
        } catch (\Throwable $e) {
            // The container builds each in its turn, and goes no further.
            $this->guard->note('A topic grant cannot be built, those after it are not asked', $e);
        }

        return array_merge(...array_map(array_values(...), array_values($granted)));
    }
}
