<?php

declare(strict_types=1);

namespace App;

use Oro\Bundle\DistributionBundle\OroKernel;
use Oro\Bundle\EntityExtendBundle\EntityExtend\EntityFieldIterator;
use Oro\Bundle\EntityExtendBundle\EntityExtend\ExtendedEntityFieldsProcessor;
use Symfony\Component\Config\Loader\LoaderInterface;
use Symfony\Component\DependencyInjection\ContainerBuilder;

/** Oro's kernel with the configuration of a small application. */
final class Kernel extends OroKernel
{
    public function registerContainerConfiguration(LoaderInterface $loader): void
    {
        $loader->load(function (ContainerBuilder $container): void {
            foreach ($this->parameters() as $name => $value) {
                $container->setParameter($name, $value);
            }
            foreach ($this->configuration() as $extension => $values) {
                $container->loadFromExtension($extension, $values);
            }
        });
    }

    public function boot(): void
    {
        parent::boot();
        // Since 5.1 entities look up extended fields. There are none without OroEntityExtendBundle.
        if (self::isOro51()) {
            ExtendedEntityFieldsProcessor::initialize(new EntityFieldIterator([]), new NoExtendedFields());
        }
    }

    public function getProjectDir(): string
    {
        return \dirname(__DIR__, 2);
    }

    public function getCacheDir(): string
    {
        return $this->getProjectDir() . '/var/cache/' . $this->environment;
    }

    public function getLogDir(): string
    {
        return $this->getProjectDir() . '/var';
    }

    /** Oro 5.0 has other parameters for the WebSocket server, and generated classes for extended entities. */
    private static function isOro51(): bool
    {
        return class_exists(ExtendedEntityFieldsProcessor::class);
    }

    /** @return array<string, mixed> */
    private function parameters(): array
    {
        $parameters = [
            'secret' => '%env(ORO_SECRET)%',
            'env(ORO_SECRET)' => 'check',
            'oro_platform.collect_deprecations' => false,
            'deployment_type' => null,
            'maintenance_lock_file_path' => $this->getLogDir() . '/maintenance_lock',
        ];
        $port = (int) getenv('CHECK_PORT');
        if (self::isOro51()) {
            $parameters['websocket_server_dsn'] = "//127.0.0.1:$port";
            $parameters['websocket_frontend_dsn'] = "//*:$port/";
            $parameters['websocket_backend_dsn'] = "tcp://127.0.0.1:$port";
        } else {
            $parameters += [
                'websocket_bind_address' => '127.0.0.1',
                'websocket_bind_port' => $port,
                'websocket_frontend_host' => '*',
                'websocket_frontend_port' => $port,
                'websocket_frontend_path' => '',
                'websocket_backend_host' => '127.0.0.1',
                'websocket_backend_port' => $port,
                'websocket_backend_path' => '',
                'websocket_backend_transport' => 'tcp',
                'websocket_backend_ssl_context_options' => [],
            ];
        }
        if ('test' === $this->getEnvironment()) {
            // Like OroTestFrameworkBundle.
            $parameters['doctrine.dbal.connection_factory.class'] = 'Oro\Component\Testing\Doctrine\PersistentConnectionFactory';
        }

        return $parameters;
    }

    /** @return array<string, array<string, mixed>> */
    private function configuration(): array
    {
        $directory = $this->getProjectDir();
        $sqlite = ['url' => "sqlite:///$directory/var/db.sqlite"];

        return [
            'framework' => [
                'secret' => '%secret%',
                'csrf_protection' => true,
                'http_method_override' => false,
                'test' => 'test' === $this->getEnvironment(),
                'router' => ['resource' => "$directory/routing.yml", 'utf8' => true],
                'session' => [
                    'name' => 'CHECK',
                    'handler_id' => null,
                    'save_path' => "$directory/var/sessions",
                    'storage_factory_id' => 'session.storage.factory.native',
                ],
            ],
            'twig' => ['default_path' => "$directory/templates"],
            'monolog' => ['handlers' => ['main' => [
                'type' => 'stream',
                'path' => "$directory/var/app.log",
                'level' => 'warning',
                'channels' => ['!event', '!php', '!doctrine'],
            ]]],
            'oro_maintenance' => [
                'authorized' => ['path' => 'maintenance'],
                'driver' => ['options' => ['file_path' => '%maintenance_lock_file_path%']],
            ],
            'doctrine' => [
                // An Oro application has these three connections; Oro wraps the default one.
                'dbal' => [
                    'default_connection' => 'default',
                    'connections' => ['default' => $sqlite, 'config' => $sqlite, 'session' => $sqlite],
                ],
                'orm' => [
                    'default_entity_manager' => 'default',
                    'auto_generate_proxy_classes' => true,
                    'entity_managers' => ['default' => ['connection' => 'default', 'mappings' => ['App' => [
                        'type' => 'attribute',
                        'is_bundle' => false,
                        'dir' => "$directory/src/App/Entity",
                        'prefix' => 'App\Entity',
                    ]]]],
                ],
            ],
            'security' => (self::VERSION_ID < 60000 ? ['enable_authenticator_manager' => true] : []) + [
                'providers' => ['users' => ['id' => 'oro_user.security.provider']],
                'firewalls' => ['main' => [
                    'pattern' => '^/',
                    'provider' => 'users',
                    'lazy' => true,
                    'custom_authenticators' => [CookieAuthenticator::class],
                    'logout' => ['path' => '/logout', 'target' => '/gone'],
                ]],
            ],
        ];
    }
}
