<?php

declare(strict_types=1);

namespace Orosync\Test;

use Symfony\Component\DependencyInjection\ContainerInterface;

/**
 * Assertions for tests of an application that extend Symfony's KernelTestCase (or WebTestCase) and run with
 * `orosync.test: true`.
 *
 * They cover messages published since the kernel was booted. A test browser reboots it before its second and each further
 * request; call its disableReboot() to check several requests together.
 */
trait PublishedAssertions
{
    /**
     * @param (callable(mixed, PublishedMessage): bool)|null $accepts receives the decoded payload, with objects as arrays;
     *   returns true for the expected message
     */
    public static function assertPublished(string $topic, ?callable $accepts = null, string $message = ''): void
    {
        self::assertThat(self::inMemoryPublisher(), new IsPublished($topic, $accepts), $message);
    }

    /** @param string|null $topic null: any topic */
    public static function assertNothingPublished(?string $topic = null, string $message = ''): void
    {
        self::assertThat(self::inMemoryPublisher(), new NothingPublished($topic), $message);
    }

    /** @return list<PublishedMessage> in order */
    public static function publishedMessages(): array
    {
        return self::inMemoryPublisher()->messages();
    }

    private static function inMemoryPublisher(): InMemoryPublisher
    {
        /** @var ContainerInterface $container */
        $container = static::getContainer();
        $publisher = $container->has(InMemoryPublisher::class) ? $container->get(InMemoryPublisher::class) : null;

        return $publisher instanceof InMemoryPublisher ? $publisher : throw new \LogicException(
            'No messages are kept: orosync.test is off in this environment. '
            . 'Add to config/packages/orosync.yaml: {when@test: {orosync: {test: true}}}.',
        );
    }
}
