<?php

declare(strict_types=1);

namespace Orosync\Twig;

use Symfony\Contracts\Service\ResetInterface;

/**
 * The live page of this request: the content tags that its templates name (in a block, an included template or a fragment), and
 * its `<orosync-page>` elements.
 *
 * An element that is rendered before the last tag is named, such as in the head of a layout, gets the remaining tags when the
 * page is complete. Bounds: MAX_TAGS tags and MAX_ELEMENTS elements; further ones are left out.
 */
final class LivePage implements ResetInterface
{
    public const MAX_TAGS = 5000;

    private const MAX_ELEMENTS = 10;

    /** @var array<string, true> in order */
    private array $tags = [];

    /** @var list<PageElement> in page order */
    private array $elements = [];

    /**
     * @param list<string> $tags
     *
     * @return bool false: some are left out
     */
    public function show(array $tags): bool
    {
        foreach ($tags as $tag) {
            if (\count($this->tags) >= self::MAX_TAGS && !isset($this->tags[$tag])) {
                return false;
            }
            $this->tags[$tag] = true;
        }

        return true;
    }

    /** @return list<string> */
    public function tags(): array
    {
        // PHP turns array keys of digits into integers.
        return array_map(strval(...), array_keys($this->tags));
    }

    public function render(PageElement $element): string
    {
        if (\count($this->elements) < self::MAX_ELEMENTS) {
            $this->elements[] = $element;
        }

        return $element->html();
    }

    /** @return PageElement|null null: the page has none */
    public function element(): ?PageElement
    {
        return $this->elements[0] ?? null;
    }

    /** Adds the tags to elements that were rendered before the tags were named. */
    public function complete(string $html): string
    {
        $tags = $this->tags();
        foreach ($this->elements as $element) {
            if ($element->tags !== $tags) {
                $html = str_replace($element->html(), $element->with($tags)->html(), $html);
            }
        }

        return $html;
    }

    public function reset(): void
    {
        $this->tags = [];
        $this->elements = [];
    }
}
