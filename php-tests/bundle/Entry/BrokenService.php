<?php

declare(strict_types=1);

namespace Orosync\Tests\Entry;

use Orosync\ContentTag\TagGeneratorInterface;
use Orosync\Publishing\PublisherInterface;
use Orosync\Publishing\PublisherStatus;
use Orosync\Ticket\TicketIssuerInterface;
use Orosync\Ticket\UserClaimsInterface;
use Symfony\Component\Security\Core\User\UserInterface;

/** Replaces services that an application may define itself. Every call throws. */
final class BrokenService implements PublisherInterface, UserClaimsInterface, TagGeneratorInterface, TicketIssuerInterface
{
    public const REASON = 'it is broken';

    public static function build(): never
    {
        throw new \LogicException(self::REASON);
    }

    public function publish(string $topic, mixed $payload, array $exclude = [], array $eligible = []): bool
    {
        self::build();
    }

    public function flush(float $timeout = 1.0): bool
    {
        self::build();
    }

    public function status(): PublisherStatus
    {
        self::build();
    }

    public function claims(): array
    {
        self::build();
    }

    public function claimsOf(UserInterface $user): array
    {
        self::build();
    }

    public function supports(mixed $data): bool
    {
        self::build();
    }

    public function generate(mixed $data, bool $includeCollectionTag = false, bool $processNestedData = false): array
    {
        self::build();
    }

    public function issue(array $claims, int $ttl): string
    {
        self::build();
    }
}
