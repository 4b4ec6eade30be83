<?php

declare(strict_types=1);

namespace Orosync\Twig;

use Symfony\Contracts\Service\ResetInterface;

/**
 * What the page of this request shows, and to whom: the content tags that its templates name, in a block, an included template
 * or a fragment, and the elements that tell the browser.
 *
 * An element that is rendered before the last tag was named, as in the head of a layout, gets the rest when the page is
 * complete. Bounds: MAX_TAGS, of which a browser would have to hear, and MAX_ELEMENTS; what is beyond them is left out.
 */
final class LivePage implements ResetInterface
{
    public const MAX_TAGS = 5000;

    private const MAX_ELEMENTS = 10;

    /** @var array<string, true> in the order of their naming */
    private array $tags = [];

    /** @var list<PageElement> as they are in the page */
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
        // PHP has made integers of keys that look like them.
        return array_map(strval(...), array_keys($this->tags));
    }

    public function render(PageElement $element): string
    {
        if (\count($this->elements) < self::MAX_ELEMENTS) {
            $this->elements[] = $element;
        }

        return $element->html();
    }

    /** @return PageElement|null null: none is in the page */
    public function element(): ?PageElement
    {
        return $this->elements[0] ?? null;
    }

    /** Gives the elements of a page the tags that were named after they were rendered. */
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
