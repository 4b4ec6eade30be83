<?php

declare(strict_types=1);

use Demo\Entity\User;
use Demo\Security\UserProvider;
use Orosync\Maintenance\MaintenanceMode;
use Symfony\Component\DependencyInjection\Loader\Configurator\ContainerConfigurator;

return static function (ContainerConfigurator $container): void {
    $container->extension('framework', [
        'secret' => '%secret%',
        'http_method_override' => false,
        'form' => true,
        'validation' => true,
        'csrf_protection' => true,
        'session' => [
            'handler_id' => 'session.handler.native_file',
            'save_path' => '%demo.directory%/sessions',
            // Browsers keep cookies by host and not by port: two demos on one machine do not share a login.
            'name' => '%session_name%',
            'cookie_samesite' => 'lax',
            'cookie_secure' => 'auto',
            'storage_factory_id' => 'session.storage.factory.native',
        ],
    ]);

    $container->extension('twig', [
        'default_path' => '%kernel.project_dir%/templates',
        'form_themes' => ['form/theme.html.twig'],
        'strict_variables' => true,
        'globals' => ['maintenance' => '@' . MaintenanceMode::class],
    ]);

    // All else is in parameters.yml, by the names of OroSyncBundle.
    $container->extension('orosync', [
        'secret_file' => '%demo.directory%/secret',
        'server' => ['binary' => '%orosync_server_binary%'],
        'maintenance' => ['flag_file' => '%demo.directory%/maintenance'],
    ]);

    $container->extension('security', [
        'enable_authenticator_manager' => true,
        'password_hashers' => [User::class => 'auto'],
        'providers' => ['users' => ['id' => UserProvider::class]],
        'firewalls' => [
            'main' => [
                'lazy' => true,
                'provider' => 'users',
                'form_login' => [
                    'login_path' => 'login',
                    'check_path' => 'login',
                    'default_target_path' => 'contacts',
                    'enable_csrf' => true,
                ],
                'logout' => ['path' => 'logout', 'target' => 'home'],
            ],
        ],
        'role_hierarchy' => ['ROLE_ADMIN' => 'ROLE_USER'],
        'access_control' => [
            ['path' => '^/(contacts|status)(/|$)', 'roles' => 'ROLE_USER'],
            ['path' => '^/maintenance$', 'roles' => 'ROLE_ADMIN'],
        ],
    ]);
};
