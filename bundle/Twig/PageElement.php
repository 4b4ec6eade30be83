<?php

declare(strict_types=1);

namespace Orosync\Twig;

use Orosync\Entry\RequestStart;

/** The element `<orosync-page>`: the page's user, content tags, time of rendering, and texts for users. */
final class PageElement
{
    /**
     * @param array{url: string, ticketUrl: string, userName: string|null, userId: int|string|null, role: string, organizationId: int|string|null} $client
     * @param list<string>                                                                                                         $tags
     * @param array<string, array<string, string>>                                                                                 $texts
     * @param float                                                                                                                $at       {@see RequestStart::ofPage()}
     * @param bool                                                                                                                 $warnings whether to warn in the browser's console
     */
    public function __construct(
        // The browser reconnects when one of these changes, because the user is another one.
        public readonly array $client,
        public readonly array $tags,
        private readonly array $texts,
        private readonly float $at,
        private readonly bool $warnings,
    ) {
    }

    /** @param list<string> $tags */
    public function with(array $tags): self
    {
        return new self($this->client, $tags, $this->texts, $this->at, $this->warnings);
    }

    public function html(): string
    {
        $attributes = ['client' => $this->client, 'tags' => $this->tags, 'texts' => $this->texts, 'rendered' => ['at' => $this->at]];
        $html = '';
        foreach ($attributes as $name => $value) {
            $json = json_encode($value, \JSON_THROW_ON_ERROR | \JSON_INVALID_UTF8_SUBSTITUTE | \JSON_UNESCAPED_SLASHES | \JSON_UNESCAPED_UNICODE);
            $html .= sprintf(' %s="%s"', $name, htmlspecialchars($json, \ENT_QUOTES));
        }

        return sprintf('<orosync-page%s%s></orosync-page>', $html, $this->warnings ? '' : ' warnings="off"');
    }
}
