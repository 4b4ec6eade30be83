<?php

declare(strict_types=1);

namespace Orosync\Tests\Application\Entity;

use Doctrine\ORM\Mapping as ORM;

/** An entity with a composite id that is not generated. */
#[ORM\Entity]
class Label
{
    public function __construct(
        #[ORM\Id,
    ORM\Column]
        public string $language,
        #[ORM\Id,
    ORM\Column]
        public int $number,
        #[ORM\Column]
        public string $text,
    ) {
    }
}
