<?php

declare(strict_types=1);

namespace Orosync\Twig;

use Orosync\ContentTag\TagGeneratorInterface;
use Orosync\Endpoint\FrontendAddress;
use Orosync\Endpoint\FrontendEndpoint;
use Orosync\Endpoint\InvalidEndpointException;
use Orosync\Entry\Guard;
use Orosync\Publishing\PublisherInterface;
use Orosync\Publishing\PublisherStatus;
use Orosync\Ticket\UserClaimsInterface;
use Psr\Log\LoggerInterface;
use Symfony\Component\Routing\Exception\RouteNotFoundException;
use Symfony\Component\Routing\Generator\UrlGeneratorInterface;

/**
 * Answers the Twig functions of {@see OrosyncExtension}. Loaded only by templates that call one.
 *
 * A page is rendered without live notifications where one of them fails: the log says why. In debug mode it is thrown, as
 * for everything else that is wrong in a template, so that a developer sees it.
 */
final class OrosyncRuntime
{
    private const LOST = 'A page is rendered without live notifications';

    /**
     * @param \Closure(): FrontendEndpoint      $frontend
     * @param \Closure(): PublisherInterface    $publisher
     * @param \Closure(): TagGeneratorInterface $tags
     * @param \Closure(): UserClaimsInterface   $user
     */
    public function __construct(
        private readonly \Closure $frontend,
        private readonly \Closure $publisher,
        private readonly \Closure $tags,
        private readonly \Closure $user,
        private readonly UrlGeneratorInterface $urls,
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
        return null !== $this->guarded($this->reachable(...));
    }

    /** @return array{host: string, port: int, path: string, secure: bool}|null null: switched off */
    public function wsConfig(): ?array
    {
        $address = $this->guarded($this->address(...));

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
     * @return array{url: string, ticketUrl: string, userName: string|null, userId: int|null}|null null: nothing to
     *         connect to ({@see checkWs()} is false)
     */
    public function clientConfig(): ?array
    {
        return $this->guarded(function (): ?array {
            $address = $this->reachable();
            if (null === $address) {
                return null;
            }
            $claims = ($this->user)()->claims();

            return [
                'url' => $address->url(),
                'ticketUrl' => $this->ticketUrl(),
                'userName' => $claims['sub'] ?? null,
                'userId' => $claims['uid'] ?? null,
            ];
        });
    }

    /**
     * The tags of what a page shows. Unlike when writing, what it refers to belongs to it.
     *
     * @return list<string>
     */
    public function contentTags(mixed $data, bool $includeCollectionTag = false, bool $processNestedData = true): array
    {
        return $this->guarded(
            fn (): array => ($this->tags)()->generate($data, $includeCollectionTag, $processNestedData),
        ) ?? [];
    }

    /** @return FrontendAddress|null null: there is nothing to connect to, or nothing that would be told */
    private function reachable(): ?FrontendAddress
    {
        $address = $this->address();

        return null === $address || PublisherStatus::ABSENT === ($this->publisher)()->status()->state ? null : $address;
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
    private function guarded(\Closure $part): mixed
    {
        return $this->debug ? $part() : $this->guard->run(self::LOST, $part);
    }
}
