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
 * Answers the Twig functions of {@see OrosyncExtension}. Loaded only by templates that call one.
 *
 * A page is rendered without live notifications where one of them fails: the log says why. In debug mode it is thrown, as
 * for everything else that is wrong in a template, so that a developer sees it.
 */
final class OrosyncRuntime
{
    private const LOST = 'A page is rendered without live notifications';

    private const LOST_CONTENT = 'A page is not told of changes to a part of what it shows';

    /** Where `assets:install` puts the browser client, below the application's base path. */
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
     * May the page connect? No I/O: asks what is configured, not whether the server answers at this moment. A page that
     * is rendered while the server is down must still get its code, or it would not connect when the server is back.
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
     * What the browser client is started with.
     *
     * @return array{url: string, ticketUrl: string, userName: string|null, userId: int|string|null}|null null: nothing to
     *         connect to ({@see checkWs()} is false)
     */
    public function clientConfig(): ?array
    {
        return $this->guarded(self::LOST, function (): ?array {
            $address = $this->reachable();

            return null === $address ? null : $this->clientOf($address, ($this->user)()->claims());
        });
    }

    /**
     * All that a page needs to be live: an element that says who looks at it and what it shows, and the element's module.
     * Nothing where there is nothing to connect to ({@see checkWs()} is false).
     *
     * It shows what its templates have named by {@see contentTags()}, wherever and whenever they do.
     *
     * @param list<string> $tags     further tags of what the page shows
     * @param bool         $warnings false: the browser's console says nothing of lost connections and refused topics
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
     * The tags of what a page shows, which is named by that: the page hears of changes to it. Unlike when writing, what it refers
     * to belongs to it.
     *
     * @param mixed $data an entity, a form, the name of an entity class, `{name, params, children}`, or a list of them; null: nothing
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
                'A page shows more than {bound} content tags, and is not told of changes to the rest. Name classes instead.',
                ['bound' => LivePage::MAX_TAGS],
            );
        }
    }

    /** @return FrontendAddress|null null: there is nothing to connect to, or nothing that would be told */
    private function reachable(): ?FrontendAddress
    {
        $address = $this->address();

        return null === $address || PublisherStatus::ABSENT === ($this->publisher)()->status()->state ? null : $address;
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

    /** @return array{outdated: array<string, string>, maintenance: array<string, string>} what people read */
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

    /** In the language of the page, where the application has a translator. */
    private function text(string $english): string
    {
        return $this->translator?->trans($english, [], self::TRANSLATION_DOMAIN) ?? $english;
    }

    /** A wrong setting is for the log, also while debugging: the page is worth more than its notifications. */
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
