<?php

declare(strict_types=1);

namespace Orosync\Tests\Entry;

use Orosync\DependencyInjection\Compiler\ContentTagsNeedDoctrinePass;
use Orosync\DependencyInjection\Compiler\DerivedSecretPass;
use Orosync\DependencyInjection\Compiler\OroPass;
use Orosync\DependencyInjection\Compiler\RecordingNeedsProfilerPass;
use Orosync\DependencyInjection\Compiler\TopicsPass;
use Orosync\DependencyInjection\Compiler\TransactionsUnderDbal2Pass;
use Orosync\DependencyInjection\Compiler\UserRolesPass;
use Orosync\DependencyInjection\OrosyncExtension;
use Orosync\Tests\Oro\StandIns;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\TestCase;
use Symfony\Component\Config\Definition\Exception\InvalidConfigurationException;
use Symfony\Component\DependencyInjection\ChildDefinition;
use Symfony\Component\DependencyInjection\Compiler\CompilerPassInterface;
use Symfony\Component\DependencyInjection\ContainerBuilder;
use Symfony\Component\DependencyInjection\Definition;

/** The bundle's compiler passes accept unusual services of third parties. */
final class CompilerPassesTest extends TestCase
{
    /** @dataProvider passes */
    #[DataProvider('passes')]
    public function testACompilerPassAcceptsUnusualServices(CompilerPassInterface $pass): void
    {
        $container = self::oroApplication();
        foreach (
            [
            'without a class' => new Definition(),
            'of a class that is not there' => new Definition('Acme\Gone'),
            'of a parameter that is not there' => new Definition('%acme.gone%'),
            'child of nobody' => new ChildDefinition('acme.gone'),
            'synthetic' => (new Definition())->setSynthetic(true),
            'abstract' => (new Definition())->setAbstract(true),
            'from a factory' => (new Definition())->setFactory(['Acme\Gone', 'build']),
            ] as $id => $definition
        ) {
            foreach (['gos_web_socket.rpc', 'gos_web_socket.periodic', 'console.command', 'doctrine.event_listener'] as $tag) {
                $definition->addTag($tag);
            }
            $definition->addTag('kernel.event_listener', ['event' => 'gos_web_socket.client_connected'])
                ->setDecoratedService('oro_sync.websocket_client');
            $container->setDefinition('acme ' . $id, $definition);
        }
        $pass->process($container);

        $this->addToAssertionCount(1);
    }

    /** @return iterable<string, array{CompilerPassInterface}> */
    public static function passes(): iterable
    {
        $passes = [
            new ContentTagsNeedDoctrinePass(),
            new DerivedSecretPass(),
            new OroPass(),
            new RecordingNeedsProfilerPass(),
            new TopicsPass(),
            new TransactionsUnderDbal2Pass(),
            new UserRolesPass(),
        ];
        foreach ($passes as $pass) {
            yield $pass::class => [$pass];
        }
    }

    public function testACompilerPassAcceptsAMissingOroListener(): void
    {
        $container = self::oroApplication();
        $container->removeDefinition('oro_sync.event_listener.doctrine_tag');
        (new OroPass())->process($container);

        $this->addToAssertionCount(1);
    }

    public function testASkippedClassThatDoesNotExistIsReported(): void
    {
        $container = self::oroApplication(['content_tags' => ['skip' => ['Acme\Gone']]]);

        $this->expectException(InvalidConfigurationException::class);
        $this->expectExceptionMessage('orosync.content_tags.skip: the class "Acme\Gone" does not exist.');
        (new OroPass())->process($container);
    }

    /** @param array<string, mixed> $orosync */
    private static function oroApplication(array $orosync = []): ContainerBuilder
    {
        StandIns::register();
        $container = new ContainerBuilder();
        $container->setParameter('kernel.bundles', ['OroSyncBundle' => 'Oro\Bundle\SyncBundle\OroSyncBundle']);
        $container->setParameter('kernel.environment', 'prod');
        $container->setParameter('kernel.debug', false);
        (new \Oro\Bundle\SyncBundle\DependencyInjection\OroSyncExtension())->load([], $container);
        (new OrosyncExtension())->load([$orosync], $container);

        return $container;
    }
}
