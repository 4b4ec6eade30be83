<?php

declare(strict_types=1);

namespace Orosync\DependencyInjection;

use Orosync\ContentTag\TagGeneratorInterface;
use Orosync\Controller\TicketController;
use Orosync\Endpoint\BindAddress;
use Orosync\Endpoint\Dsn;
use Orosync\Endpoint\InvalidEndpointException;
use Symfony\Component\Config\Definition\Exception\InvalidConfigurationException;
use Symfony\Component\Config\FileLocator;
use Symfony\Component\DependencyInjection\ContainerBuilder;
use Symfony\Component\DependencyInjection\Extension\Extension;
use Symfony\Component\DependencyInjection\Loader\PhpFileLoader;

/** Loads the services and gives them what is configured. */
final class OrosyncExtension extends Extension
{
    public function load(array $configs, ContainerBuilder $container): void
    {
        $config = $this->processConfiguration(new Configuration(), $configs);
        $this->refuseWrongEndpoints($config, $container);

        (new PhpFileLoader($container, new FileLocator(__DIR__.'/../config')))->load('services.php');
        $container->registerForAutoconfiguration(TagGeneratorInterface::class)->addTag('orosync.tag_generator');

        $endpoints = new EndpointSettings($container->getParameterBag());
        $server = $endpoints->server($config['server']['bind']);
        $container->getDefinition('orosync.bind_address')->setArgument(
            '$settings',
            // Without a file of its own the server hears from us where to listen.
            $server ?? (null === $config['server']['config'] ? BindAddress::DEFAULT : null),
        );
        $container->getDefinition('orosync.backend_endpoint')->setArgument('$settings', $endpoints->backend($config['backend']));
        $container->getDefinition('orosync.frontend_endpoint')->setArgument('$settings', $endpoints->frontend($config['frontend']));

        $container->getDefinition('orosync.shared_secret')
            ->setArgument('$secret', $config['secret'])
            ->setArgument('$secretFile', $config['secret_file']);
        $container->getDefinition('orosync.server_binary')->setArgument('$configured', $config['server']['binary']);
        $container->getDefinition('orosync.server_command')->setArgument('$configFile', $config['server']['config']);
        $container->getDefinition(TicketController::class)->setArgument('$ttl', $config['ticket']['ttl']);
        $container->getDefinition('orosync.maintenance_mode')->setArgument('$file', $config['maintenance']['flag_file']);

        if ($config['content_tags']['enabled']) {
            $container->getDefinition('orosync.content_tag_listener')->setArgument('$skip', $config['content_tags']['skip']);
        } else {
            $container->removeDefinition('orosync.content_tag_listener');
            $container->removeDefinition('orosync.commit_middleware');
        }
    }

    /**
     * What is written out is checked while somebody looks; what comes from the environment is known only at run time.
     *
     * @param array<string, mixed> $config
     */
    private function refuseWrongEndpoints(array $config, ContainerBuilder $container): void
    {
        $endpoints = [
            'orosync.server.bind' => $config['server']['bind'],
            'orosync.backend' => $config['backend'],
            'orosync.frontend' => $config['frontend'],
        ];
        foreach ($endpoints as $key => $dsn) {
            $variables = [];
            $container->resolveEnvPlaceholders($dsn, null, $variables);
            if ([] !== $variables) {
                continue;
            }
            try {
                Dsn::fromSettings(['key' => $key, 'dsn' => $dsn]);
            } catch (InvalidEndpointException $e) {
                throw new InvalidConfigurationException($e->getMessage(), 0, $e);
            }
        }
    }
}
