<?php

declare(strict_types=1);

namespace Oro\Bundle\UserBundle\Entity;

class User extends AbstractUser
{
}
