<?php

declare(strict_types=1);

namespace Oro\Bundle\CustomerBundle\Entity;

use Oro\Bundle\UserBundle\Entity\AbstractUser;

/** 4.2 to 7.0: the ids and names may be the same as those of back office users. */
class CustomerUser extends AbstractUser
{
}
