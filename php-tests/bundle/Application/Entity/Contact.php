<?php

declare(strict_types=1);

namespace Orosync\Tests\Application\Entity;

use Doctrine\Common\Collections\ArrayCollection;
use Doctrine\Common\Collections\Collection;
use Doctrine\ORM\Mapping as ORM;

#[ORM\Entity]
class Contact
{
    #[ORM\Id, ORM\GeneratedValue, ORM\Column]
    public ?int $id = null;

    #[ORM\ManyToOne(cascade: ['persist'])]
    public ?Company $company = null;

    /** @var Collection<int, Label> */
    #[ORM\ManyToMany(targetEntity: Label::class, cascade: ['persist'])]
    #[ORM\InverseJoinColumn(name: 'label_language', referencedColumnName: 'language')]
    #[ORM\InverseJoinColumn(name: 'label_number', referencedColumnName: 'number')]
    public Collection $labels;

    public function __construct(
        #[ORM\Column]
        public string $name,
    ) {
        $this->labels = new ArrayCollection();
    }
}
