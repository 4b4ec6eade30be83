<?php

declare(strict_types=1);

namespace Orosync\Twig;

use Orosync\Endpoint\FrontendAddress;
use Orosync\Endpoint\FrontendEndpoint;
use Orosync\Endpoint\InvalidEndpointException;
use Orosync\Entry\Guard;
use Orosync\Entry\RequestStart;
use Orosync\Publishing\PublisherInterface;
use Orosync\Publishing\PublisherStatus;
use Orosync\Ticket\UserClaimsInterface;
use Psr\Log\LoggerInterface;
use Symfony\Component\HttpFoundation\RequestStack;
use Symfony\Component\Routing\Exception\RouteNotFoundException;
use Symfony\Component\Routing\Generator\UrlGeneratorInterface;
use Symfony\Contracts\Translation\TranslatorInterface;

/**
 * Implements the Twig functions of {@see OrosyncExtension}. Loaded only by templates that call one.
 *
 * If one of them fails, the page is rendered without live notifications and the reason is logged. In debug mode the exception
 * is thrown, like other template errors.
 */
final class OrosyncRuntime
{
    private const LOST = 'A page was rendered without live notifications';

    private const LOST_CONTENT = 'A page does not receive changes of some of its content';

    /** Path of the browser client below the application's base path, as installed by `assets:install`. */
    private const ASSETS = '/bundles/orosynclive';

    private const TRANSLATION_DOMAIN = 'orosync';

    /**
     * @param \Closure(): FrontendEndpoint    $frontend
     * @param \Closure(): PublisherInterface  $publisher
     * @param \Closure(): UserClaimsInterface $user
     */
    public function __construct(
        private readonly \Closure $frontend,
        private readonly \Closure $publisher,
        private readonly ShownContent $content,
        private readonly LivePage $page,
        private readonly RequestStart $start,
        private readonly \Closure $user,
        private readonly UrlGeneratorInterface $urls,
        private readonly RequestStack $requests,
        private readonly ?TranslatorInterface $translator,
        private readonly LoggerInterface $logger,
        private readonly Guard $guard,
        private readonly bool $debug,
    ) {
    }

    /**
     * Whether the page may connect: everything is configured. No I/O: it does not ask whether the server answers. A page that
     * is rendered while the server is down must include the client, so that it connects once the server is up.
     */
    public function checkWs(): bool
    {
        return null !== $this->guarded(self::LOST, $this->reachable(...));
    }

    /** @return array{host: string, port: int, path: string, secure: bool}|null null: switched off */
    public function wsConfig(): ?array
    {
        $address = $this->guarded(self::LOST, $this->address(...));

        return null === $address ? null : [
            'host' => $address->host,
            'port' => $address->port,
            'path' => $address->path,
            'secure' => $address->secure,
        ];
    }

    /**
     * The settings of the browser client.
     *
     * @return array{url: string, ticketUrl: string, userName: string|null, userId: int|string|null}|null null: {@see checkWs()}
     *   is false
     */
    public function clientConfig(): ?array
    {
        return $this->guarded(self::LOST, function (): ?array {
            $address = $this->reachable();

            return null === $address ? null : $this->clientOf($address, ($this->user)()->claims());
        });
    }

    /**
     * The HTML that makes a page live: an element with the page's user and content tags, and the element's module. Empty if
     * {@see checkWs()} is false.
     *
     * The element has all tags that templates of the page name with {@see contentTags()}, before or after it.
     *
     * @param list<string> $tags     additional content tags
     * @param bool         $warnings false: no console warnings about lost connections and refused topics
     */
    public function page(array $tags = [], bool $warnings = true): string
    {
        return $this->guarded(self::LOST, function () use ($tags, $warnings): string {
            $this->show($tags);
            $address = $this->reachable();

            return null === $address ? '' : $this->live($address, $warnings);
        }) ?? '';
    }

    /**
     * The content tags of data that the page shows. Registers them for the page, which then receives changes. By default the
     * tags of referenced data are included, unlike in a flush.
     *
     * @param mixed $data an entity, a form, the name of an entity class, `{name, params, children}`, or a list of them; null:
     *   no tags
     *
     * @return list<string>
     */
    public function contentTags(mixed $data, bool $includeCollectionTag = false, bool $processNestedData = true): array
    {
        return $this->guarded(self::LOST_CONTENT, function () use ($data, $includeCollectionTag, $processNestedData): array {
            $tags = $this->content->tags($data, $includeCollectionTag, $processNestedData);
            $this->show($tags);

            return $tags;
        }) ?? [];
    }

    /** @param list<string> $tags */
    private function show(array $tags): void
    {
        if (!$this->page->show($tags)) {
            $this->logger->warning(
                'A page shows more than {bound} content tags; it does not receive changes of the others. Tag entity classes instead.',
                ['bound' => LivePage::MAX_TAGS],
            );
        }
    }

    /** @return FrontendAddress|null null: no address, or publishing is not possible */
    private function reachable(): ?FrontendAddress
    {
        $address = $this->address();

        return null === $address || PublisherStatus::UNAVAILABLE === ($this->publisher)()->status()->state ? null : $address;
    }

    /**
     * @param array<string, mixed> $claims
     *
     * @return array{url: string, ticketUrl: string, userName: string|null, userId: int|string|null}
     */
    private function clientOf(FrontendAddress $address, array $claims): array
    {
        return [
            'url' => $address->url(),
            'ticketUrl' => $this->ticketUrl(),
            'userName' => $claims['sub'] ?? null,
            'userId' => $claims['uid'] ?? null,
        ];
    }

    private function live(FrontendAddress $address, bool $warnings): string
    {
        $claims = ($this->user)()->claims();
        $client = $this->clientOf($address, $claims) + ['role' => $claims['role'], 'organizationId' => $claims['org'] ?? null];
        $element = $this->page->render(new PageElement($client, $this->page->tags(), $this->texts(), $this->start->ofPage(), $warnings));
        $assets = htmlspecialchars($this->requests->getCurrentRequest()?->getBasePath() . self::ASSETS, \ENT_QUOTES);

        return <<<HTML
            <link rel="stylesheet" href="$assets/flash.css">
            $element
            <script type="module" src="$assets/page.js"></script>
            HTML;
    }

    /** @return array{outdated: array<string, string>, maintenance: array<string, string>} texts for users */
    private function texts(): array
    {
        $dismiss = $this->text('Dismiss');

        return [
            'outdated' => [
                'message' => $this->text('Somebody else has changed this content.'),
                'uncertain' => $this->text('This page may be out of date.'),
                'reload' => $this->text('Reload the page'),
                'dismiss' => $dismiss,
            ],
            'maintenance' => [
                'message' => $this->text('The site has gone into maintenance. What you save now may be lost.'),
                'dismiss' => $dismiss,
            ],
        ];
    }

    /** Translates a text to the language of the page, if the application has a translator. */
    private function text(string $english): string
    {
        return $this->translator?->trans($english, [], self::TRANSLATION_DOMAIN) ?? $english;
    }

    /** Logs an invalid setting, even in debug mode, and returns null: the page works without notifications. */
    private function address(): ?FrontendAddress
    {
        try {
            return ($this->frontend)()->resolve();
        } catch (InvalidEndpointException $e) {
            $this->logger->error('Pages do not connect: {reason}', ['reason' => $e->getMessage(), 'exception' => $e]);

            return null;
        }
    }

    private function ticketUrl(): string
    {
        try {
            return $this->urls->generate('oro_sync_ticket');
        } catch (RouteNotFoundException $e) {
            throw new \LogicException(
                'The route "oro_sync_ticket" is missing. Import "@OrosyncLiveBundle/config/routes.php" in config/routes.yaml.',
                0,
                $e,
            );
        }
    }

    /**
     * @template T
     *
     * @param \Closure(): T $part
     *
     * @return T|null
     */
    private function guarded(string $lost, \Closure $part): mixed
    {
        return $this->debug ? $part() : $this->guard->run($lost, $part);
    }
}
