<?php

declare(strict_types=1);

namespace Orosync\ContentTag;

use Doctrine\ORM\EntityManagerInterface;
use Doctrine\ORM\PersistentCollection;
use Doctrine\ORM\UnitOfWork;
use Doctrine\Persistence\ManagerRegistry;
use Symfony\Component\Form\FormInterface;

/**
 * Tags of entities, of forms for entities and of entity classes, identical to those of OroSyncBundle.
 *
 * `Acme\Entity\User` with the id 7 has the tag `Acme_Entity_User_7`, its collection `Acme_Entity_User_type_collection`. Reads
 * only the unit of work: runs no query and loads no collection.
 */
final class DoctrineTagGenerator implements TagGeneratorInterface
{
    public function __construct(private readonly ManagerRegistry $doctrine)
    {
    }

    public function supports(mixed $data): bool
    {
        if ($data instanceof FormInterface) {
            return $this->supports($data->getData());
        }

        return null !== $this->managerOf($data);
    }

    public function generate(mixed $data, bool $includeCollectionTag = false, bool $processNestedData = false): array
    {
        if ($data instanceof FormInterface) {
            return $this->generate($data->getData(), $includeCollectionTag, $processNestedData);
        }
        $manager = $this->managerOf($data);
        if (null === $manager) {
            return [];
        }
        // The metadata contains the real class of a proxy.
        $metadata = $manager->getClassMetadata(\is_object($data) ? $data::class : $data);
        $prefix = preg_replace('/[^a-z]+/i', '_', $metadata->getName());
        $tags = [];
        if (\is_object($data) && self::isStored($data, $manager)) {
            $id = $manager->getUnitOfWork()->getEntityIdentifier($data);
            $tags[] = implode('_', [$prefix, ...array_map(self::idToText(...), array_values($id))]);
            if ($processNestedData) {
                array_push($tags, ...$this->nestedTags($data, $manager));
            }
        }
        if ($includeCollectionTag) {
            $tags[] = $prefix . self::COLLECTION_SUFFIX;
        }

        return $tags;
    }

    /** @return list<string> */
    private function nestedTags(object $entity, EntityManagerInterface $manager): array
    {
        $metadata = $manager->getClassMetadata($entity::class);
        $tags = [];
        foreach ($metadata->getAssociationNames() as $field) {
            $value = $metadata->getFieldValue($entity, $field);
            if (null === $value) {
                continue;
            }
            if ($metadata->isSingleValuedAssociation($field)) {
                $value = [$value];
            } elseif ($value instanceof PersistentCollection) {
                $value = $value->unwrap();
            }
            foreach ($value as $associated) {
                array_push($tags, ...$this->generate($associated));
            }
        }

        return $tags;
    }

    private function managerOf(mixed $data): ?EntityManagerInterface
    {
        $class = \is_object($data) ? $data::class : $data;
        if (!\is_string($class) || !class_exists($class)) {
            return null;
        }
        $manager = $this->doctrine->getManagerForClass($class);

        return $manager instanceof EntityManagerInterface ? $manager : null;
    }

    /** Whether the entity is managed and has an id. One that waits for its insert has no id that a page could know. */
    private static function isStored(object $entity, EntityManagerInterface $manager): bool
    {
        $unit = $manager->getUnitOfWork();
        // The assumption avoids a query for an entity that the unit of work does not know.
        $state = $unit->getEntityState($entity, UnitOfWork::STATE_NEW);

        return \in_array($state, [UnitOfWork::STATE_MANAGED, UnitOfWork::STATE_REMOVED], true)
            && !$unit->isScheduledForInsert($entity);
    }

    private static function idToText(mixed $id): string
    {
        return match (true) {
            $id instanceof \BackedEnum => (string) $id->value,
            $id instanceof \DateTimeInterface => $id->format(\DateTimeInterface::ATOM),
            default => (string) $id,
        };
    }
}
