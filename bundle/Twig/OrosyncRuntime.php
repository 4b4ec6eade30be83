<?php

declare(strict_types=1);

namespace Orosync\Twig;

use Orosync\ContentTag\TagGeneratorInterface;
use Orosync\Endpoint\FrontendAddress;
use Orosync\Endpoint\FrontendEndpoint;
use Orosync\Endpoint\InvalidEndpointException;
use Orosync\Publishing\PublisherInterface;
use Orosync\Publishing\PublisherStatus;
use Orosync\Ticket\UserClaimsInterface;
use Psr\Log\LoggerInterface;
use Symfony\Component\Routing\Exception\RouteNotFoundException;
use Symfony\Component\Routing\Generator\UrlGeneratorInterface;

/** Answers the Twig functions of {@see OrosyncExtension}. Loaded only by templates that call one. */
final class OrosyncRuntime
{
    public function __construct(
        private readonly FrontendEndpoint $frontend,
        private readonly PublisherInterface $publisher,
        private readonly TagGeneratorInterface $tags,
        private readonly UserClaimsInterface $user,
        private readonly UrlGeneratorInterface $urls,
        private readonly LoggerInterface $logger,
    ) {
    }

    /**
     * May the page connect? No I/O: asks what is configured, not whether the server answers at this moment. A page that
     * is rendered while the server is down must still get its code, or it would not connect when the server is back.
     */
    public function checkWs(): bool
    {
        return null !== $this->address() && PublisherStatus::ABSENT !== $this->publisher->status()->state;
    }

    /** @return array{host: string, port: int, path: string, secure: bool}|null null: switched off */
    public function wsConfig(): ?array
    {
        $address = $this->address();

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
        if (!$this->checkWs()) {
            return null;
        }
        try {
            $ticketUrl = $this->urls->generate('oro_sync_ticket');
        } catch (RouteNotFoundException $e) {
            throw new \LogicException(
                'The route "oro_sync_ticket" is missing. Import "@OrosyncLiveBundle/config/routes.php" in config/routes.yaml.',
                0,
                $e,
            );
        }
        $claims = $this->user->claims();

        return [
            'url' => $this->address()->url(),
            'ticketUrl' => $ticketUrl,
            'userName' => $claims['sub'] ?? null,
            'userId' => $claims['uid'] ?? null,
        ];
    }

    /**
     * The tags of what a page shows. Unlike when writing, what it refers to belongs to it.
     *
     * @return list<string>
     */
    public function contentTags(mixed $data, bool $includeCollectionTag = false, bool $processNestedData = true): array
    {
        return $this->tags->generate($data, $includeCollectionTag, $processNestedData);
    }

    /** A wrong setting is for the log: the page is worth more than its notifications. */
    private function address(): ?FrontendAddress
    {
        try {
            return $this->frontend->resolve();
        } catch (InvalidEndpointException $e) {
            $this->logger->error('Pages do not connect: {reason}', ['reason' => $e->getMessage(), 'exception' => $e]);

            return null;
        }
    }
}
