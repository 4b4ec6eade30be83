<?php

declare(strict_types=1);

use Demo\Entity\User;
use Demo\Import\RunImport;
use Demo\Security\UserProvider;
use Orosync\Maintenance\MaintenanceMode;
use Symfony\Component\DependencyInjection\Loader\Configurator\ContainerConfigurator;
use Symfony\Component\HttpKernel\Kernel;

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
            // Browsers do not separate cookies by port. With this name, two demos on one machine do not share a login.
            'name' => '%session_name%',
            'cookie_samesite' => 'lax',
            'cookie_secure' => 'auto',
            'storage_factory_id' => 'session.storage.factory.native',
        ],
        'messenger' => [
            'transports' => [
                'imports' => [
                    'dsn' => 'doctrine://default?auto_setup=0&redeliver_timeout=60',
                    // No retries: a failed import is shown to the user who started it, who can start another.
                    'retry_strategy' => ['max_retries' => 0],
                ],
            ],
            'routing' => [RunImport::class => 'imports'],
        ],
    ]);

    $container->extension('twig', [
        'default_path' => '%kernel.project_dir%/templates',
        'form_themes' => ['form/theme.html.twig'],
        'strict_variables' => true,
        'globals' => ['maintenance' => '@' . MaintenanceMode::class, 'admin_addresses' => '%demo.admin_addresses%'],
    ]);

    // Other settings are in parameters.yml, with the parameter names of OroSyncBundle.
    $container->extension('orosync', [
        'secret_file' => '%demo.directory%/secret',
        'server' => ['binary' => '%orosync_server_binary%'],
        // In addition to OroPlatform's topics, which are built in.
        'topics' => [
            // Moved or changed deals. Published by Deal/DealNews.php, subscribed by public/js/board.js.
            'demo/board' => 'user',
            // The same for customers. Customer/OrderTopics.php grants the topic of the customer's company.
            'demo/orders/{company:int}' => 'granted',
            // Progress of an import. Import/ImportTopics.php grants it to administrators.
            'demo/import/{id:int}' => 'granted',
        ],
        'maintenance' => ['flag_file' => '%demo.directory%/maintenance'],
    ]);

    $container->extension('security', [
        ...(Kernel::MAJOR_VERSION < 6 ? ['enable_authenticator_manager' => true] : []),
        'password_hashers' => [User::class => 'auto'],
        'providers' => ['users' => ['id' => UserProvider::class]],
        'firewalls' => [
            'profiler' => ['pattern' => '^/_(profiler|wdt)', 'security' => false],
            'main' => [
                'lazy' => true,
                'provider' => 'users',
                'form_login' => [
                    'login_path' => 'login',
                    'check_path' => 'login',
                    'default_target_path' => 'start',
                    'enable_csrf' => true,
                ],
                'logout' => ['path' => 'logout', 'target' => 'home'],
            ],
        ],
        'role_hierarchy' => ['ROLE_ADMIN' => 'ROLE_SALES'],
        // Pages that are not listed are public. The ticket controls access to topics: Security/Claims.php.
        'access_control' => [
            ['path' => '^/(import|maintenance|status)(/|$)', 'roles' => 'ROLE_ADMIN'],
            ['path' => '^/(board|companies|contacts|deals)(/|$)', 'roles' => 'ROLE_SALES'],
            ['path' => '^/orders(/|$)', 'roles' => 'ROLE_CUSTOMER'],
            ['path' => '^/start$', 'roles' => 'IS_AUTHENTICATED_FULLY'],
        ],
    ]);

    if ($container->env() === 'dev') {
        $container->extension('framework', ['profiler' => true]);
        $container->extension('web_profiler', ['toolbar' => true]);
    }
};
