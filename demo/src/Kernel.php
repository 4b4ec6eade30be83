<?php

declare(strict_types=1);

namespace Demo;

use Orosync\OrosyncBundle;
use Symfony\Bridge\Doctrine\DependencyInjection\CompilerPass\RegisterEventListenersAndSubscribersPass;
use Symfony\Bundle\FrameworkBundle\FrameworkBundle;
use Symfony\Bundle\FrameworkBundle\Kernel\MicroKernelTrait;
use Symfony\Bundle\SecurityBundle\SecurityBundle;
use Symfony\Bundle\TwigBundle\TwigBundle;
use Symfony\Bundle\WebProfilerBundle\WebProfilerBundle;
use Symfony\Component\DependencyInjection\ContainerBuilder;
use Symfony\Component\DependencyInjection\Loader\Configurator\ContainerConfigurator;
use Symfony\Component\HttpKernel\Kernel as BaseKernel;
use Symfony\Component\Routing\Loader\Configurator\RoutingConfigurator;

/**
 * The application. Its data (database, cache, sessions) and its `parameters.yml` are in one directory, which `bin/demo`
 * prepares and passes in `DEMO_DIR`. Environments: `prod`, and `dev` with the profiler (`APP_ENV`).
 */
final class Kernel extends BaseKernel
{
    use MicroKernelTrait;

    private readonly string $directory;

    public function __construct()
    {
        $this->directory = getenv('DEMO_DIR') ?: dirname(__DIR__) . '/var';
        if (!is_file("$this->directory/parameters.yml")) {
            throw new \RuntimeException("No parameters.yml in $this->directory. Start the demo first: make demo");
        }
        $environment = getenv('APP_ENV') ?: 'prod';
        parent::__construct($environment, $environment === 'dev');
    }

    public function registerBundles(): iterable
    {
        yield new FrameworkBundle();
        yield new SecurityBundle();
        yield new TwigBundle();
        yield new OrosyncBundle();
        if ($this->environment === 'dev') {
            yield new WebProfilerBundle();
        }
    }

    public function getProjectDir(): string
    {
        return dirname(__DIR__);
    }

    public function getCacheDir(): string
    {
        return "$this->directory/cache/$this->environment";
    }

    public function getLogDir(): string
    {
        return "$this->directory/log";
    }

    protected function build(ContainerBuilder $container): void
    {
        // DoctrineBundle would do this.
        $container->addCompilerPass(new RegisterEventListenersAndSubscribersPass(
            'doctrine.connections',
            'doctrine.dbal.%s_connection.event_manager',
            'doctrine',
        ));
    }

    protected function configureContainer(ContainerConfigurator $container): void
    {
        $container->parameters()->set('demo.directory', $this->directory);
        $container->import("$this->directory/parameters.yml");
        $container->import('../config/packages.php');
        $container->import('../config/doctrine.php');
        $container->import('../config/services.php');
    }

    protected function configureRoutes(RoutingConfigurator $routes): void
    {
        $routes->import('../config/routes.php');
        $routes->import('@OrosyncLiveBundle/config/routes.php');
        if ($this->environment === 'dev') {
            $routes->import('@WebProfilerBundle/Resources/config/routing/wdt.xml')->prefix('/_wdt');
            $routes->import('@WebProfilerBundle/Resources/config/routing/profiler.xml')->prefix('/_profiler');
        }
    }
}
