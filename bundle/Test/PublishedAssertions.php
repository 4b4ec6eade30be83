<?php

declare(strict_types=1);

namespace Orosync\Test;

use Symfony\Component\DependencyInjection\ContainerInterface;

/**
 * For tests of an application, which extend Symfony's KernelTestCase (or WebTestCase) and run with `orosync.test: true`.
 *
 * They look at what was published since the kernel was booted. A test browser boots it anew before its second and each
 * further request; call its disableReboot() to look at several requests together.
 */
trait PublishedAssertions
{
    /**
     * @param (callable(mixed, PublishedMessage): bool)|null $accepts is given the payload as pages get it, objects as
     *                                                                arrays; true: this is the message that is meant
     */
    public static function assertPublished(string $topic, ?callable $accepts = null, string $message = ''): void
    {
        self::assertThat(self::inMemoryPublisher(), new IsPublished($topic, $accepts), $message);
    }

    /** @param string|null $topic null: to no topic at all */
    public static function assertNothingPublished(?string $topic = null, string $message = ''): void
    {
        self::assertThat(self::inMemoryPublisher(), new IsSilent($topic), $message);
    }

    /** @return list<PublishedMessage> in their order */
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
            'Nothing is kept to be looked at: orosync.test is not on in this environment. '
            . 'Write in config/packages/orosync.yaml: {when@test: {orosync: {test: true}}}.',
        );
    }
}
