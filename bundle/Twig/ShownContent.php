<?php

declare(strict_types=1);

namespace Orosync\Twig;

use Orosync\ContentTag\TagGeneratorInterface;
use Symfony\Component\Form\FormInterface;
use Symfony\Component\Form\FormView;

/**
 * The content tags of template data: of anything that a generator supports, and of lists.
 *
 * An object or a form that no generator supports has no tags. An unknown class name or another type is an error of the template
 * and throws. Bound: the first MAX_ELEMENTS of a list; a page with more uses the collection tag of their class.
 */
final class ShownContent
{
    public const MAX_ELEMENTS = 1000;

    /** Maximum length of a name in a message. */
    private const MAX_NAME_BYTES = 200;

    /** @param \Closure(): TagGeneratorInterface $tags */
    public function __construct(private readonly \Closure $tags)
    {
    }

    /**
     * @return list<string>
     *
     * @throws \InvalidArgumentException the data cannot have tags
     */
    public function tags(mixed $data, bool $includeCollectionTag, bool $processNestedData): array
    {
        $isForm = $data instanceof FormInterface || $data instanceof FormView;
        $shown = self::withoutForm($data);
        // The fields of a form are not {name, params}.
        $isOne = !self::isList($shown) || (!$isForm || \is_object($shown)) && ($this->tags)()->supports($shown);
        $tags = [];
        $count = 0;
        foreach ($isOne ? [$shown] : $shown as $one) {
            if (++$count > self::MAX_ELEMENTS) {
                throw new \InvalidArgumentException(sprintf(
                    'oro_sync_get_content_tags(): a list of more than %d. Name the class of its elements, or show a page of them.',
                    self::MAX_ELEMENTS,
                ));
            }
            $isShown = !$isForm || \is_object($one) && ($this->tags)()->supports($one);
            array_push($tags, ...$isShown ? $this->tagsOfOne($one, $includeCollectionTag, $processNestedData) : []);
        }

        return array_values(array_unique($tags));
    }

    /** @return list<string> */
    private function tagsOfOne(mixed $data, bool $includeCollectionTag, bool $processNestedData): array
    {
        if (null === $data) {
            return [];
        }
        $generator = ($this->tags)();
        if (!$generator->supports($data)) {
            return \is_object($data) && !is_iterable($data) ? [] : throw self::unknown($data);
        }
        // A class only has this tag.
        $isClass = \is_string($data) && class_exists($data);

        return $generator->generate($data, $includeCollectionTag || $isClass, $processNestedData);
    }

    /** The data of a form; a form itself is iterable over its fields. */
    private static function withoutForm(mixed $data): mixed
    {
        return match (true) {
            $data instanceof FormInterface => $data->getData(),
            $data instanceof FormView => $data->vars['data'] ?? null,
            default => $data,
        };
    }

    /** Whether the data is a list. Generators are not: they can be read only once, and the page needs their elements. */
    private static function isList(mixed $data): bool
    {
        return is_iterable($data) && !$data instanceof \Generator;
    }

    private static function unknown(mixed $data): \InvalidArgumentException
    {
        if (\is_string($data) && !class_exists($data)) {
            return new \InvalidArgumentException(sprintf(
                'oro_sync_get_content_tags(): there is no class "%s". Write its full name%s.',
                self::cut($data),
                str_contains($data, '\\') ? '' : ', in a template with \\\\ for each backslash: \'App\\\\Entity\\\\Order\'',
            ));
        }

        return new \InvalidArgumentException(sprintf(
            'oro_sync_get_content_tags(): %s has no content tags. Give an entity, a list of entities, a form, the name of an entity '
            . 'class, or {name, params}; for all else write a service that implements %s.',
            \is_string($data) ? sprintf('the class "%s"', $data) : get_debug_type($data),
            TagGeneratorInterface::class,
        ));
    }

    private static function cut(string $text): string
    {
        return mb_scrub(substr($text, 0, self::MAX_NAME_BYTES), 'UTF-8') . (\strlen($text) > self::MAX_NAME_BYTES ? '…' : '');
    }
}
