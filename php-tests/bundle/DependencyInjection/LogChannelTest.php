<?php

declare(strict_types=1);

namespace Orosync\Tests\DependencyInjection;

use Orosync\DependencyInjection\OrosyncExtension;
use PHPUnit\Framework\TestCase;
use Symfony\Component\DependencyInjection\ContainerBuilder;
use Symfony\Component\DependencyInjection\Reference;

final class LogChannelTest extends TestCase
{
    /** MonologBundle reads this tag to pass a service the logger of a channel. */
    public function testEveryServiceLogsToTheChannelOrosync(): void
    {
        $container = new ContainerBuilder();
        $container->setParameter('kernel.bundles', []);
        (new OrosyncExtension())->load([], $container);
        $logging = [];
        foreach ($container->getDefinitions() as $id => $definition) {
            foreach ($definition->getArguments() as $argument) {
                if ($argument instanceof Reference && 'logger' === (string) $argument) {
                    $logging[] = $id;
                    self::assertSame([['channel' => 'orosync']], $definition->getTag('monolog.logger'), $id);
                }
            }
        }

        self::assertContains('orosync.publisher_factory', $logging);
        self::assertContains('orosync.guard', $logging);
    }
}
