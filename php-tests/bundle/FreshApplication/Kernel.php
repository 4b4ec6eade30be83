<?php

declare(strict_types=1);

namespace Orosync\Tests\FreshApplication;

use Orosync\Tests\Handlers;
use Symfony\Bundle\FrameworkBundle\Kernel\MicroKernelTrait;
use Symfony\Component\HttpKernel\Kernel as HttpKernel;

/** The kernel of a new application, which reads its directory like Symfony's skeleton. */
final class Kernel extends HttpKernel
{
    use MicroKernelTrait;

    private readonly Handlers $handlers;

    public function __construct(private readonly string $directory, string $environment)
    {
        $this->handlers = Handlers::now();
        // Composer's autoloader does this in a real application.
        spl_autoload_register(static function (string $class) use ($directory): void {
            $file = $directory . '/src/' . str_replace('\\', '/', substr($class, 4)) . '.php';
            if (str_starts_with($class, 'App\\') && is_file($file)) {
                require_once $file;
            }
        });
        parent::__construct($environment, 'prod' !== $environment);
    }

    public function shutdown(): void
    {
        parent::shutdown();
        $this->handlers->restore();
    }

    public function getProjectDir(): string
    {
        return $this->directory;
    }
}
