<?php

declare(strict_types=1);

namespace Orosync\ContentTag;

/** Tags of content other than entities: `['name' => 'configuration', 'params' => ['look', 7], 'children' => [...]]`. */
final class SimpleTagGenerator implements TagGeneratorInterface
{
    public function supports(mixed $data): bool
    {
        return \is_array($data) && isset($data['name']);
    }

    public function generate(mixed $data, bool $includeCollectionTag = false, bool $processNestedData = false): array
    {
        $tags = [implode('_', [$data['name'], ...array_values($data['params'] ?? [])])];
        if ($processNestedData) {
            foreach ($data['children'] ?? [] as $child) {
                if ($this->supports($child)) {
                    array_push($tags, ...$this->generate($child));
                }
            }
        }
        if ($includeCollectionTag) {
            $tags[] = $data['name'] . self::COLLECTION_SUFFIX;
        }

        return $tags;
    }
}
