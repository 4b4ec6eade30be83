<?php

declare(strict_types=1);

// Renders Oro's own templates with the functions of an application: render.php TWIG BUNDLES PARAMETERS
//
// TWIG is a checkout of Twig; BUNDLES is Oro's src/Oro/Bundle; PARAMETERS is JSON: user, uid, and the port of the server.

error_reporting(E_ALL & ~E_DEPRECATED & ~E_USER_DEPRECATED);
[, $checkout, $bundles, $json] = $argv;
['user' => $name, 'uid' => $id, 'port' => $port] = json_decode($json, true, 512, JSON_THROW_ON_ERROR);
spl_autoload_register(static function (string $class) use ($checkout): void {
    if (str_starts_with($class, 'Twig\\')) {
        require $checkout . '/src/' . str_replace('\\', '/', substr($class, 5)) . '.php';
    }
});
if (!function_exists('trigger_deprecation')) {
    function trigger_deprecation(string ...$arguments): void
    {
    }
}

$files = new Twig\Loader\FilesystemLoader();
foreach (['Sync', 'UI', 'User', 'Imap', 'MessageQueue'] as $bundle) {
    $files->addPath("$bundles/{$bundle}Bundle/Resources/views", "Oro$bundle");
}
// Oro 4.2 also uses the form OroUIBundle::macros.html.twig.
$loader = new class ($files) implements Twig\Loader\LoaderInterface {
    public function __construct(private readonly Twig\Loader\LoaderInterface $files)
    {
    }

    public function getSourceContext(string $name): Twig\Source
    {
        return $this->files->getSourceContext($this->named($name));
    }

    public function getCacheKey(string $name): string
    {
        return $this->files->getCacheKey($this->named($name));
    }

    public function isFresh(string $name, int $time): bool
    {
        return true;
    }

    public function exists(string $name): bool
    {
        return $this->files->exists($this->named($name));
    }

    private function named(string $name): string
    {
        return (string) preg_replace('/^(Oro\w+)Bundle:+/', '@$1/', $name);
    }
};
$request = new class {
    public string $host = '127.0.0.1';
    public object $headers;

    public function __construct()
    {
        $this->headers = new class {
            public function get(string $name): ?string
            {
                return null;
            }
        };
    }

    public function isSecure(): bool
    {
        return false;
    }

    public function getHost(): string
    {
        return $this->host;
    }
};

$roles = [['role' => 'ROLE_MANAGER']];
$socket = ['host' => '*', 'port' => $port, 'path' => ''];
$twig = new Twig\Environment($loader);
$twig->addGlobal('app', ['user' => ['id' => $id, 'username' => $name, 'userRoles' => $roles, 'roles' => $roles], 'request' => $request]);
$twig->addGlobal('ws', $socket);
foreach (['check_ws' => true, 'get_ws_config' => $socket, 'is_authenticated' => true, 'is_granted' => true] as $function => $answer) {
    $twig->addFunction(new Twig\TwigFunction($function, static fn () => $answer));
}
$twig->addFilter(new Twig\TwigFilter('trans', static fn (string $text): string => $text));
$templates = [
    '@OroSync/sync_js',
    '@OroSync/maintenance_js',
    '@OroImap/credentialsTopicSubscribe',
    '@OroMessageQueue/ConsumerHeartbeat/queue_consumer_heartbeat_js',
    '@OroUser/Sync/outdated_js',
];
foreach ($templates as $template) {
    echo $twig->render("$template.html.twig");
}
