<?php

declare(strict_types=1);

namespace Oro\Bundle\CustomerBundle\Entity;

use Oro\Bundle\UserBundle\Entity\AbstractUser;

/** 4.2 to 7.0: ids and names of its own, which overlap with those of the back office. */
class CustomerUser extends AbstractUser
{
}
