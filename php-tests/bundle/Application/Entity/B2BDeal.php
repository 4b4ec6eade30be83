<?php

declare(strict_types=1);

namespace Orosync\Tests\Application\Entity;

use Doctrine\ORM\Mapping as ORM;

/** An entity with a digit in its name and an enum as its id. */
#[ORM\Entity]
class B2BDeal
{
    public function __construct(
        #[ORM\Id,
    ORM\Column(enumType: Stage::class)]
        public Stage $stage,
    ) {
    }
}
