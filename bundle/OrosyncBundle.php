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
 * Live notifications for a Symfony application: what somebody saves is in everybody's browser at once.
 *
 * Where to read on: `Publishing/` (the way out of PHP), `Topic/` (what is published, and who may listen), `ContentTag/`
 * (what a flush has changed), `Ticket/` (who a browser is), `Endpoint/` (who listens where), `Maintenance/`, `Twig/` (what a
 * page needs), `Command/` (the server, and what to ask it), `Check/` (why nothing arrives), `Oro/` (Oro's own services over
 * ours), `Entry/` (why nothing of ours breaks what the application does), `Messenger/`, `Notifier/` and `Profiler/` (for those
 * of Symfony), `Test/` (for the tests of an application).
 *
 * An Oro application registers {@see Oro\OrosyncOroBundle} instead.
 */
class OrosyncBundle extends Bundle
{
    /**
     * Symfony's name for this bundle: `@OrosyncLiveBundle/config/routes.php`, `@OrosyncLive/profiler.html.twig`,
     * `public/bundles/orosynclive`. "OrosyncBundle" differs from Oro's OroSyncBundle in case alone, and Symfony
     * lower-cases names: both would publish their assets to `public/bundles/orosync`.
     */
    final public const NAME = 'OrosyncLiveBundle';

    final public function __construct()
    {
        $this->name = self::NAME;
    }

    /** Its alias, and so the key of the configuration, is `orosync`, where Symfony expects what follows from the name. */
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
