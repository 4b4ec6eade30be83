<?php

declare(strict_types=1);

use Oro\Bundle\UserBundle\Entity\AbstractUser;
use Oro\Bundle\UserBundle\Entity\UserOfOro5;
use Oro\Bundle\UserBundle\Entity\UserSinceOro6;
use Symfony\Component\HttpKernel\Kernel;

// Base class of both kinds of users, as in the Oro version for this Symfony.
class_alias(Kernel::MAJOR_VERSION < 6 ? UserOfOro5::class : UserSinceOro6::class, AbstractUser::class);
