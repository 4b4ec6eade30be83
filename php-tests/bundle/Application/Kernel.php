<?php

declare(strict_types=1);

namespace Orosync\Tests\Application;

use Doctrine\DBAL\Connection;
use Doctrine\DBAL\DriverManager;
use Doctrine\ORM\Configuration;
use Doctrine\ORM\EntityManager;
use Doctrine\ORM\EntityManagerInterface;
use Doctrine\ORM\ORMSetup;
use Orosync\OrosyncBundle;
use Orosync\Publishing\PublisherInterface;
use Orosync\Tests\RecordingPublisher;
use Orosync\Ticket\TicketIssuerInterface;
use Orosync\Ticket\UserClaimsInterface;
use Symfony\Bridge\Doctrine\ContainerAwareEventManager;
use Symfony\Bridge\Doctrine\DependencyInjection\CompilerPass\RegisterEventListenersAndSubscribersPass;
use Symfony\Bundle\FrameworkBundle\FrameworkBundle;
use Symfony\Bundle\FrameworkBundle\Kernel\MicroKernelTrait;
use Symfony\Bundle\SecurityBundle\SecurityBundle;
use Symfony\Bundle\TwigBundle\TwigBundle;
use Symfony\Component\DependencyInjection\Compiler\CompilerPassInterface;
use Symfony\Component\DependencyInjection\ContainerBuilder;
use Symfony\Component\DependencyInjection\Loader\Configurator\ContainerConfigurator;
use Symfony\Component\DependencyInjection\Reference;
use Symfony\Component\HttpKernel\Kernel as HttpKernel;
use Symfony\Component\Routing\Loader\Configurator\RoutingConfigurator;
use Symfony\Component\Translation\Translator;

use function Symfony\Component\DependencyInjection\Loader\Configurator\service;

/**
 * An application around the bundle: framework, and as much of security, Twig and Doctrine as a test asks for. Doctrine
 * is wired as its bundle wires it, for Debian has no package of that bundle.
 */
final class Kernel extends HttpKernel implements CompilerPassInterface
{
    use MicroKernelTrait;

    /**
     * @param array<string, mixed> $orosync    the tree `orosync:`
     * @param array<string, mixed> $parameters container parameters
     * @param list<string>         $with       of "security", "twig", "doctrine", "translator"; "publisher" and "tickets" (the
     *                                         bundle's own instead of those that record); "own claims" and "own tags" (an
     *                                         application's services); "no middleware" (Doctrine wired without it)
     */
    public function __construct(
        private readonly array $orosync = [],
        private readonly array $parameters = [],
        private readonly array $with = ['security', 'twig', 'doctrine'],
    ) {
        parent::__construct('test', true);
    }

    public function registerBundles(): iterable
    {
        yield new FrameworkBundle();
        if ($this->has('security')) {
            yield new SecurityBundle();
        }
        if ($this->has('twig')) {
            yield new TwigBundle();
        }
        yield new OrosyncBundle();
    }

    public function getProjectDir(): string
    {
        return __DIR__;
    }

    public function getCacheDir(): string
    {
        return sprintf('%s/%s', getenv('OROSYNC_TEST_DIRECTORY'), hash('xxh64', serialize([$this->orosync, $this->parameters, $this->with])));
    }

    public function getLogDir(): string
    {
        return $this->getCacheDir();
    }

    /** Tests look at services that nothing else asks for: they would be removed. The tag is DoctrineBundle's business. */
    public function process(ContainerBuilder $container): void
    {
        foreach ($container->getDefinitions() as $id => $definition) {
            if (str_starts_with($id, 'orosync.') || \in_array($id, ['security.untracked_token_storage', 'security.event_dispatcher.main', 'twig'], true)) {
                $definition->setPublic(true);
            }
        }
        foreach ($container->getAliases() as $id => $alias) {
            if (str_starts_with($id, 'Orosync\\')) {
                $alias->setPublic(true);
            }
        }
        if ($this->has('doctrine') && !$this->has('no middleware')) {
            $middlewares = array_map(static fn (string $id): Reference => new Reference($id), array_keys($container->findTaggedServiceIds('doctrine.middleware')));
            $container->getDefinition('doctrine.orm.configuration')->addMethodCall('setMiddlewares', [$middlewares]);
        }
    }

    protected function build(ContainerBuilder $container): void
    {
        if ($this->has('doctrine')) {
            $container->setParameter('doctrine.connections', ['default' => 'doctrine.dbal.default_connection']);
            $container->addCompilerPass(new RegisterEventListenersAndSubscribersPass('doctrine.connections', 'doctrine.dbal.%s_connection.event_manager', 'doctrine'));
        }
    }

    protected function configureContainer(ContainerConfigurator $container): void
    {
        foreach ($this->parameters as $name => $value) {
            $container->parameters()->set($name, $value);
        }
        $container->extension('framework', [
            'secret' => 'the application\'s own secret',
            'test' => true,
            'http_method_override' => false,
            'session' => ['storage_factory_id' => 'session.storage.factory.mock_file', 'handler_id' => null],
        ]);
        if ($this->has('translator')) {
            $container->extension('framework', ['translator' => ['fallbacks' => ['en']]]);
        } elseif (class_exists(Translator::class)) {
            $container->extension('framework', ['translator' => ['enabled' => false]]);
        }
        if ($this->has('twig')) {
            $container->extension('twig', ['default_path' => __DIR__, 'strict_variables' => true]);
        }
        if ($this->has('security')) {
            $container->extension('security', [
                ...(HttpKernel::MAJOR_VERSION < 6 ? ['enable_authenticator_manager' => true] : []),
                'providers' => ['users' => ['id' => UserProvider::class]],
                'firewalls' => ['main' => ['lazy' => true, 'provider' => 'users', 'http_basic' => null]],
            ]);
        }
        $container->extension('orosync', $this->orosync);

        $services = $container->services();
        $services->set('logger', RecordingLogger::class)->public();
        $services->set(UserProvider::class);
        if (!$this->has('publisher')) {
            $services->set(RecordingPublisher::class)->public();
            $services->alias(PublisherInterface::class, RecordingPublisher::class)->public();
        }
        if (!$this->has('tickets')) {
            $services->set(ReadableTicketIssuer::class);
            $services->alias(TicketIssuerInterface::class, ReadableTicketIssuer::class);
        }
        if ($this->has('own claims')) {
            $services->set(OwnClaims::class)->autowire();
            $services->alias(UserClaimsInterface::class, OwnClaims::class);
        }
        if ($this->has('own tags')) {
            $services->set(OwnTagGenerator::class)->autoconfigure();
        }
        if ($this->has('doctrine')) {
            $services->set('doctrine.orm.configuration', Configuration::class)
                ->factory([ORMSetup::class, 'createAttributeMetadataConfiguration'])->args([[__DIR__ . '/Entity'], true]);
            $services->set('doctrine.dbal.default_connection.event_manager', ContainerAwareEventManager::class)
                ->args([service('service_container')]);
            $services->set('doctrine.dbal.default_connection', Connection::class)
                ->factory([DriverManager::class, 'getConnection'])
                ->args([['driver' => 'pdo_sqlite', 'memory' => true], service('doctrine.orm.configuration'), service('doctrine.dbal.default_connection.event_manager')])
                ->public();
            $services->set('doctrine.orm.default_entity_manager', EntityManager::class)
                ->args([service('doctrine.dbal.default_connection'), service('doctrine.orm.configuration'), service('doctrine.dbal.default_connection.event_manager')])
                ->public();
            $services->set('doctrine', ManagerRegistry::class)->args([service('service_container')])->public();
            $services->alias(EntityManagerInterface::class, 'doctrine.orm.default_entity_manager');
        }
    }

    protected function configureRoutes(RoutingConfigurator $routes): void
    {
        $routes->import('@OrosyncBundle/config/routes.php');
    }

    private function has(string $part): bool
    {
        return \in_array($part, $this->with, true);
    }
}
