<?php

declare(strict_types=1);

namespace Orosync;

use Orosync\DependencyInjection\Compiler\ContentTagsNeedDoctrinePass;
use Orosync\DependencyInjection\Compiler\DerivedSecretPass;
use Orosync\DependencyInjection\Compiler\OroPass;
use Orosync\DependencyInjection\Compiler\RecordingNeedsProfilerPass;
use Orosync\DependencyInjection\Compiler\TopicsPass;
use Orosync\DependencyInjection\Compiler\TransactionsUnderDbal2Pass;
use Orosync\DependencyInjection\Compiler\UserProvidersPass;
use Orosync\DependencyInjection\Compiler\UserRolesPass;
use Orosync\DependencyInjection\OrosyncExtension;
use Symfony\Component\DependencyInjection\ContainerBuilder;
use Symfony\Component\DependencyInjection\Extension\ExtensionInterface;
use Symfony\Component\HttpKernel\Bundle\Bundle;

/**
 * Live notifications for Symfony applications: a change that one user saves reaches all open pages at once.
 *
 * Reading order:
 *
 * - `Publishing/`: publishers
 * - `Topic/`: declared topics and their policies
 * - `ContentTag/`: tags of entities that a flush has changed
 * - `Ticket/`: browser tickets, the identity and grants of a user
 * - `Endpoint/`: addresses of the server
 * - `Maintenance/`, `Twig/`, `Messenger/`, `Notifier/`, `Profiler/`: integration by subject
 * - `Command/`, `Check/`: console commands and diagnostics
 * - `Oro/`: replacements of OroSyncBundle's services
 * - `Entry/`: keeps failures of the bundle away from the application
 * - `Test/`: assertions for the tests of applications
 *
 * An Oro application registers {@see Oro\OrosyncOroBundle} instead.
 */
class OrosyncBundle extends Bundle
{
    /**
     * Symfony's name for this bundle: `@OrosyncLiveBundle/config/routes.php`, `@OrosyncLive/profiler.html.twig`,
     * `public/bundles/orosynclive`. "OrosyncBundle" differs from Oro's OroSyncBundle only in case. Symfony lower-cases the
     * names, so both would publish their assets to `public/bundles/orosync`.
     */
    final public const NAME = 'OrosyncLiveBundle';

    final public function __construct()
    {
        $this->name = self::NAME;
    }

    /** Sets the alias `orosync`, which is the configuration key; Symfony would derive another one from the bundle's name. */
    final public function getContainerExtension(): ?ExtensionInterface
    {
        return $this->extension ??= new OrosyncExtension();
    }

    public function build(ContainerBuilder $container): void
    {
        parent::build($container);

        $container->addCompilerPass(new DerivedSecretPass());
        $container->addCompilerPass(new TopicsPass());
        $container->addCompilerPass(new UserRolesPass());
        $container->addCompilerPass(new UserProvidersPass());
        $container->addCompilerPass(new ContentTagsNeedDoctrinePass());
        $container->addCompilerPass(new TransactionsUnderDbal2Pass());
        $container->addCompilerPass(new OroPass());
        $container->addCompilerPass(new RecordingNeedsProfilerPass());
    }
}
