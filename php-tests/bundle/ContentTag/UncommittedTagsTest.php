<?php

declare(strict_types=1);

namespace Orosync\Tests\ContentTag;

use Orosync\ContentTag\TagAnnouncerInterface;
use Orosync\ContentTag\Transaction\UncommittedTags;
use Orosync\Entry\Guard;
use Orosync\Tests\Entry\BrokenLogger;
use PHPUnit\Framework\TestCase;

final class UncommittedTagsTest extends TestCase implements TagAnnouncerInterface
{
    private int $announced = 0;

    public function testTagsBeyondTheLimitAreCountedAndTheCommitSucceedsEvenWithoutALog(): void
    {
        $guard = new Guard(new BrokenLogger());
        $uncommitted = new UncommittedTags(fn (): TagAnnouncerInterface => $this, $guard);
        $connection = new \stdClass();
        $uncommitted->watch($connection);
        $uncommitted->keep($connection, array_map(static fn (int $id): string => 'a_' . $id, range(1, 100_002)));

        self::assertTrue($uncommitted->commit($connection, static fn (): bool => true));

        self::assertSame(100_000, $this->announced);
        self::assertSame(1, $guard->count());
        self::assertStringContainsString('the last 2 are left out', $guard->failures()[0]->reason);
    }

    public function announce(array $tags): void
    {
        $this->announced += \count($tags);
    }
}
