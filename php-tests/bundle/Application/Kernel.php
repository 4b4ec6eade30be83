<?php

declare(strict_types=1);

namespace Orosync\Tests\Application;

use Doctrine\DBAL\Driver\Middleware;
use Doctrine\ORM\EntityManagerInterface;
use Orosync\Messenger\Publish;
use Orosync\OrosyncBundle;
use Orosync\Publishing\PublisherInterface;
use Orosync\Tests\Entry\Entries;
use Orosync\Tests\Entry\Failure;
use Orosync\Tests\RecordingPublisher;
use Orosync\Ticket\TicketIssuerInterface;
use Orosync\Ticket\UserClaimsInterface;
use Symfony\Bridge\Doctrine\DependencyInjection\Security\UserProvider\EntityFactory;
use Symfony\Bundle\FrameworkBundle\FrameworkBundle;
use Symfony\Bundle\FrameworkBundle\Kernel\MicroKernelTrait;
use Symfony\Bundle\SecurityBundle\SecurityBundle;
use Symfony\Bundle\TwigBundle\TwigBundle;
use Symfony\Component\DependencyInjection\Compiler\CompilerPassInterface;
use Symfony\Component\DependencyInjection\ContainerBuilder;
use Symfony\Component\DependencyInjection\Loader\Configurator\ContainerConfigurator;
use Symfony\Component\HttpKernel\Kernel as HttpKernel;
use Symfony\Component\Routing\Loader\Configurator\RoutingConfigurator;
use Symfony\Component\Translation\Translator;

/** An application with the bundle, the framework, and the parts of security, Twig and Doctrine that a test selects. */
final class Kernel extends HttpKernel implements CompilerPassInterface
{
    use MicroKernelTrait;

    /** User providers of the security bundle. */
    public const PROVIDERS = ['users' => ['id' => UserProvider::class]];

    /**
     * @param array<string, mixed> $orosync    the tree `orosync:`
     * @param array<string, mixed> $parameters container parameters
     * @param list<string>         $with       of "security", "twig", "doctrine", "translator"; "publisher" and "tickets" (the
     *                                         bundle's own instead of those that record); "own claims" and "own tags" (an
     *                                         application's services); "voter" ({@see CompanyVoter}); "no middleware" (Doctrine wired without it);
     *                                         "own connection" (a wrapper class of the application's), "archive" (a
     *                                         second connection, with its manager); "everything" of the framework that
     *                                         ours join, "no debug", and a {@see Failure}
     * @param array<string, mixed> $providers  of the security bundle, the first for the firewall
     */
    public function __construct(
        private readonly array $orosync = [],
        private readonly array $parameters = [],
        private readonly array $with = ['security', 'twig', 'doctrine'],
        private readonly array $providers = self::PROVIDERS,
    ) {
        parent::__construct('test', !$this->has('no debug'));
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
        return sprintf('%s/%s', getenv('BUNDLE_TEST_DIRECTORY'), hash('xxh64', serialize([$this->orosync, $this->parameters, $this->with, $this->providers, interface_exists(Middleware::class)])));
    }

    public function getLogDir(): string
    {
        return $this->getCacheDir();
    }

    /** Makes services public that tests read; unused ones would be removed. DoctrineBundle handles the tag. */
    public function process(ContainerBuilder $container): void
    {
        OursCanBeLoaded::check($container);
        Entries::note($container);
        Failure::apply($container, $this->with);
        foreach ($container->getDefinitions() as $id => $definition) {
            if (str_starts_with($id, 'orosync.') || \in_array($id, ['security.untracked_token_storage', 'security.event_dispatcher.main', 'twig', 'services_resetter', 'profiler', 'notifier', 'messenger.default_bus', 'messenger.transport.failed'], true)) {
                $definition->setPublic(true);
            }
        }
        foreach ($container->getAliases() as $id => $alias) {
            if (str_starts_with($id, 'Orosync\\')) {
                $alias->setPublic(true);
            }
        }
        if ($this->has('doctrine') && !$this->has('no middleware')) {
            Doctrine::setMiddlewares($container);
        }
    }

    protected function build(ContainerBuilder $container): void
    {
        if ($this->has('doctrine')) {
            Doctrine::build($container, $this->connections());
        }
        if ($this->has('doctrine') && $this->has('security')) {
            $container->getExtension('security')->addUserProviderFactory(new EntityFactory('entity', 'doctrine.orm.security.user.provider'));
        }
    }

    protected function configureContainer(ContainerConfigurator $container): void
    {
        foreach ($this->parameters + ['doctrine.dbal.connection_factory.class' => ConnectionFactory::class] as $name => $value) {
            $container->parameters()->set($name, $value);
        }
        $container->extension('framework', [
            'secret' => 'the application\'s own secret',
            'test' => true,
            'http_method_override' => false,
            'session' => ['storage_factory_id' => 'session.storage.factory.mock_file', 'handler_id' => null],
            ...$this->has('everything') ? [
                'profiler' => ['collect' => true],
                'notifier' => ['chatter_transports' => []],
                'messenger' => [
                    'transports' => ['async' => ['dsn' => 'in-memory://', 'retry_strategy' => ['max_retries' => 0]], 'failed' => 'in-memory://'],
                    'failure_transport' => 'failed',
                    'routing' => [Publish::class => 'async'],
                ],
            ] : [],
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
                'providers' => $this->providers,
                'role_hierarchy' => ['ROLE_USER' => ['ROLE_SALES']],
                'firewalls' => ['main' => ['lazy' => true, 'provider' => array_key_first($this->providers), 'http_basic' => null, 'logout' => ['path' => '/logout']]],
            ]);
        }
        $container->extension('orosync', $this->orosync);

        $services = $container->services();
        $services->set('logger', RecordingLogger::class)->public();
        $services->set(UserProvider::class);
        $services->set(CustomerProvider::class);
        $services->set(AnybodyProvider::class);
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
        if ($this->has('voter')) {
            $services->set(CompanyVoter::class)->tag('security.voter');
        }
        if ($this->has('own tags')) {
            $services->set(OwnTagGenerator::class)->autoconfigure();
        }
        if ($this->has('doctrine')) {
            Doctrine::configure($services, array_intersect_key([
                'default' => $this->has('own connection') ? ['wrapperClass' => OwnConnection::class] : [],
                'archive' => [],
            ], array_flip($this->connections())));
            $services->alias(EntityManagerInterface::class, 'doctrine.orm.default_entity_manager');
        }
    }

    protected function configureRoutes(RoutingConfigurator $routes): void
    {
        $routes->add('logout', '/logout');
        $routes->import('@OrosyncLiveBundle/config/routes.php');
    }

    /** @return list<string> */
    private function connections(): array
    {
        return ['default', ...$this->has('archive') ? ['archive'] : []];
    }

    private function has(string $part): bool
    {
        return \in_array($part, $this->with, true);
    }
}
