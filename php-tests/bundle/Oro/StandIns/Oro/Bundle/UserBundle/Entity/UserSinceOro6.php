<?php

declare(strict_types=1);

namespace Oro\Bundle\UserBundle\Entity;

/** Oro 6.0 to 7.0, on Symfony 6.4 and later: AbstractUser also has getUserIdentifier(), which the interface requires. */
abstract class UserSinceOro6 extends UserOfOro5
{
    public function getUserIdentifier(): string
    {
        return $this->getUsername();
    }
}
