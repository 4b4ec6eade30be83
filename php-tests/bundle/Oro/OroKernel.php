<?php

declare(strict_types=1);

namespace Orosync\Tests\Oro;

use Doctrine\DBAL\Driver\Middleware;
use Oro\Bundle\EntityBundle\OroEntityBundle;
use Oro\Bundle\MessageQueueBundle\Client\DbalTransactionWatcher;
use Oro\Bundle\PlatformBundle\OroPlatformBundle;
use Oro\Bundle\SyncBundle\Controller\TicketController;
use Oro\Bundle\SyncBundle\DependencyInjection\OroSyncExtension;
use Oro\Bundle\SyncBundle\OroSyncBundle as OrosOwnBundle;
use Oro\Component\Testing\Doctrine\PersistentConnectionFactory;
use Orosync\OrosyncBundle;
use Orosync\Publishing\PublisherInterface;
use Orosync\Tests\Application\ConnectionFactory;
use Orosync\Tests\Application\Doctrine;
use Orosync\Tests\Application\OursCanBeLoaded;
use Orosync\Tests\Application\OwnConnection;
use Orosync\Tests\Application\ReadableTicketIssuer;
use Orosync\Tests\Application\RecordingLogger;
use Orosync\Tests\Entry\Entries;
use Orosync\Tests\Entry\Failure;
use Orosync\Tests\RecordingPublisher;
use Orosync\Ticket\TicketIssuerInterface;
use Symfony\Bundle\FrameworkBundle\FrameworkBundle;
use Symfony\Bundle\FrameworkBundle\Kernel\MicroKernelTrait;
use Symfony\Bundle\SecurityBundle\SecurityBundle;
use Symfony\Bundle\TwigBundle\TwigBundle;
use Symfony\Component\DependencyInjection\Compiler\CompilerPassInterface;
use Symfony\Component\DependencyInjection\Compiler\PassConfig;
use Symfony\Component\DependencyInjection\ContainerBuilder;
use Symfony\Component\DependencyInjection\Loader\Configurator\ContainerConfigurator;
use Symfony\Component\DependencyInjection\Loader\Configurator\ServicesConfigurator;
use Symfony\Component\HttpKernel\Kernel;
use Symfony\Component\Routing\Loader\Configurator\RoutingConfigurator;
use Symfony\Component\Yaml\Yaml;

use function Symfony\Component\DependencyInjection\Loader\Configurator\service;

/** An Oro application: the services of OroSyncBundle's stand-in, and Orosync installed as documented. */
final class OroKernel extends Kernel implements CompilerPassInterface
{
    use MicroKernelTrait;

    public const BUNDLES = __DIR__ . '/../../../bundle/Oro/Resources/config/oro/bundles.yml';
    /** Oro's connections; Oro watches the default one. */
    private const CONNECTIONS = ['default', 'config'];

    /**
     * @param array<string, mixed> $orosync the tree `orosync:`
     * @param list<string>         $with    "publisher" and "tickets" (the bundle's own instead of those that record);
     *                                      "acme" (a third party's handlers, routes and grants), "acme decorator",
     *                                      "acme decorators" and "acme subclasses" (around and in the place of what ours
     *                                      do), "own connection" (a wrapper class of the application's),
     *                                      "bundle by hand" (as a plain Symfony application registers ours); a {@see Failure}
     * @param array<string, mixed> $parameters
     */
    public function __construct(
        private readonly array $orosync = [],
        private readonly array $with = [],
        private readonly array $parameters = [],
        string $environment = 'prod',
    ) {
        StandIns::register();
        parent::__construct($environment, true);
    }

    public function registerBundles(): iterable
    {
        yield new FrameworkBundle();
        yield new SecurityBundle();
        yield new TwigBundle();
        yield new OroPlatformBundle();
        yield new OroEntityBundle($this);
        yield new OrosOwnBundle();
        if ($this->has('bundle by hand')) {
            yield new OrosyncBundle();

            return;
        }
        // Oro's kernel of 5.0 to 7.0 instantiates the classes of each bundles.yml; the bundle's follows Oro's in alphabetical order.
        foreach (Yaml::parseFile(self::BUNDLES)['bundles'] as $class) {
            yield new $class();
        }
    }

    public function getProjectDir(): string
    {
        return __DIR__;
    }

    public function getCacheDir(): string
    {
        return sprintf('%s/oro-%s', getenv('BUNDLE_TEST_DIRECTORY'), hash('xxh64', serialize([$this->orosync, $this->with, $this->parameters, $this->environment, interface_exists(Middleware::class)])));
    }

    public function getLogDir(): string
    {
        return $this->getCacheDir();
    }

    /** Makes services public that tests read; unused ones would be removed. DoctrineBundle handles the tag. */
    public function process(ContainerBuilder $container): void
    {
        Entries::note($container);
        Failure::apply($container, $this->with);
        foreach ($container->getDefinitions() as $id => $definition) {
            if (preg_match('/^(orosync|oro_sync|security\.untracked_token_storage|twig$)/', $id) && !$definition->isAbstract()) {
                $definition->setPublic(true);
            }
        }
        Doctrine::setMiddlewares($container);
        OursCanBeLoaded::check($container);
    }

    protected function build(ContainerBuilder $container): void
    {
        Doctrine::build($container, self::CONNECTIONS);
        if ($this->has('acme subclasses')) {
            // As in a compiler pass of the application's bundle.
            $container->addCompilerPass(new Acme\OwnClassesPass(), PassConfig::TYPE_BEFORE_OPTIMIZATION, 1);
        }
    }

    protected function configureContainer(ContainerConfigurator $container): void
    {
        // OroTestFrameworkBundle: in the environment "test" every connection is a test connection.
        $factory = 'test' === $this->environment ? PersistentConnectionFactory::class : ConnectionFactory::class;
        foreach ($this->parameters + ['doctrine.dbal.connection_factory.class' => $factory] as $name => $value) {
            $container->parameters()->set($name, $value);
        }
        $container->extension('framework', [
            'secret' => 'the application\'s own secret',
            'test' => true,
            'http_method_override' => false,
            'session' => ['storage_factory_id' => 'session.storage.factory.mock_file', 'handler_id' => null],
        ]);
        $container->extension('twig', ['default_path' => __DIR__, 'strict_variables' => true]);
        $container->extension('security', [
            ...(Kernel::MAJOR_VERSION < 6 ? ['enable_authenticator_manager' => true] : []),
            'providers' => ['users' => ['id' => OroUserProvider::class]],
            'firewalls' => ['main' => ['lazy' => true, 'provider' => 'users', 'http_basic' => null, 'logout' => ['path' => '/logout']]],
        ]);
        $container->extension('orosync', $this->orosync);

        $services = $container->services();
        $services->set('logger', RecordingLogger::class)->public();
        $services->set(OroUserProvider::class);
        if (!$this->has('publisher')) {
            $services->set(RecordingPublisher::class)->public();
            $services->alias(PublisherInterface::class, RecordingPublisher::class)->public();
        }
        if (!$this->has('tickets')) {
            $services->set(ReadableTicketIssuer::class);
            $services->alias(TicketIssuerInterface::class, ReadableTicketIssuer::class);
        }
        $default = $this->has('own connection') ? ['wrapperClass' => OwnConnection::class] : [];
        Doctrine::configure($services, ['default' => $default] + array_fill_keys(self::CONNECTIONS, []));
        // OroMessageQueueBundle: there is always a watcher, so the default connection always has Oro's own class.
        $services->set('oro_message_queue.client.dbal_transaction_watcher', DbalTransactionWatcher::class)
            ->tag('oro.doctrine.connection.transaction_watcher')
            ->public();
        if ($this->has('acme')) {
            $this->configureAcme($services);
        }
        if ($this->has('acme decorators')) {
            foreach (Acme\OwnClassesPass::DECORATORS as $id => $class) {
                $services->set('acme.' . $id, $class)->decorate($id)->args([service('.inner')])->public();
            }
        }
        if ($this->has('acme decorator')) {
            $services->set('acme.client', Acme\OwnClient::class)
                ->decorate('oro_sync.websocket_client.basic')
                ->args([service('.inner')])
                ->public();
        }
    }

    protected function configureRoutes(RoutingConfigurator $routes): void
    {
        $routes->add('logout', '/logout');
        $routes->add('oro_sync_ticket', '/sync/ticket')
            ->controller([TicketController::class, 'syncTicketAction'])
            ->methods(['POST']);
    }

    private function configureAcme(ServicesConfigurator $services): void
    {
        $services->set('acme.chat', Acme\ChatTopic::class)->args(['acme.chat'])->tag('gos_web_socket.topic');
        $services->set('acme.project', Acme\ProjectTopic::class)->args(['acme.project'])->tag('gos_web_socket.topic');
        $services->set('acme.ticker', Acme\TickerTopic::class)->args(['acme.ticker'])->tag('gos_web_socket.topic');
        $services->set('acme.news', \Oro\Bundle\SyncBundle\Topic\BroadcastTopic::class)->args(['acme.news'])->tag('gos_web_socket.topic');
        $services->set('acme.inbox', \Oro\Bundle\SyncBundle\Topic\SecuredTopic::class)->args(['acme.inbox'])->tag('gos_web_socket.topic');
        $services->set('acme.broken', Acme\BrokenTopic::class)->tag('gos_web_socket.topic');
        $services->set('acme.add', Acme\AddRpc::class)->tag('gos_web_socket.rpc');
        $services->set('acme.third_party', Acme\ThirdParty::class)->public()->args([
            service('oro_sync.websocket_client'),
            service('oro_sync.websocket_client.basic'),
            service('oro_sync.client.connection_checker'),
            service(\Oro\Bundle\SyncBundle\Authentication\Ticket\TicketProvider::class),
            service(\Oro\Bundle\SyncBundle\Content\DataUpdateTopicSender::class),
        ]);
        $services->set(Acme\ProjectGrant::class)->autoconfigure();
        $services->set('gos_pubsub_router.router.websocket', \Gos\Bundle\PubSubRouterBundle\Router\Router::class)->args([OroSyncExtension::ROUTES + [
            'acme.chat' => ['channel' => 'acme/chat/{room}', 'callback' => 'acme.chat'],
            'acme.project' => ['channel' => 'acme/project/{id}', 'callback' => 'acme.project', 'requirements' => ['id' => '\d+']],
            'acme.ticker' => ['channel' => 'acme/ticker', 'callback' => 'acme.ticker'],
            'acme.news' => ['channel' => 'acme/news/{language}', 'callback' => 'acme.news', 'requirements' => ['language' => '[a-z]{2}']],
            'acme.all_news' => ['channel' => 'acme/news', 'callback' => 'acme.news'],
            'acme.inbox' => ['channel' => 'acme/inbox/user_{user_id}/{folder}', 'callback' => 'acme.inbox', 'requirements' => ['user_id' => '\d+']],
            'acme.nobodys' => ['channel' => 'acme/nobodys/{folder}', 'callback' => 'acme.inbox'],
            'acme.gone' => ['channel' => 'acme/gone', 'callback' => 'acme.gone'],
            'acme.maybe' => ['channel' => 'acme/maybe/{page}', 'callback' => 'acme.news', 'defaults' => ['page' => '1']],
        ]]);
    }

    private function has(string $part): bool
    {
        return \in_array($part, $this->with, true);
    }
}
