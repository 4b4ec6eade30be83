<?php

declare(strict_types=1);

namespace Orosync\Ticket;

use Orosync\Entry\Guard;
use Symfony\Component\Security\Core\User\UserInterface;

/** The user's roles that declared topics name (`subscribe: ROLE_SALES`), for the server's policy `role:ROLE_SALES`. */
final class RolesClaim
{
    /** Limits of a ticket. */
    public const MAX_IN_TICKET = 32;
    public const MAX_BYTES = 100;

    /** @param list<string> $named at most MAX_IN_TICKET */
    public function __construct(
        private readonly array $named,
        private readonly Authorization $authorization,
        private readonly Guard $guard,
    ) {
    }

    /**
     * @param UserInterface|null $user null: the current user, if any
     *
     * @return array{roles?: list<string>} for the claims of a ticket
     */
    public function claim(?UserInterface $user): array
    {
        $held = array_values(array_filter($this->named, fn (string $role): bool => $this->guard->run(
            sprintf('A ticket was issued without the role %s', $role),
            fn (): bool => $this->authorization->isGranted($user, $role),
            false,
        )));

        return [] === $held ? [] : ['roles' => $held];
    }
}
