<?php

declare(strict_types=1);

namespace Orosync\Tests\Oro;

use Doctrine\ORM\EntityManagerInterface;
use Doctrine\ORM\Tools\SchemaTool;
use Orosync\Tests\Application\RecordingLogger;
use Orosync\Tests\RecordingPublisher;
use PHPUnit\Framework\TestCase;
use Symfony\Bundle\FrameworkBundle\Console\Application;
use Symfony\Bundle\FrameworkBundle\KernelBrowser;
use Symfony\Component\Console\Tester\ApplicationTester;
use Symfony\Component\DependencyInjection\ContainerInterface;
use Symfony\Component\Security\Core\Authentication\Token\UsernamePasswordToken;
use Symfony\Component\Security\Core\User\UserInterface;

/** A test with a booted Oro application. */
abstract class OroTestCase extends TestCase
{
    private ?OroKernel $kernel = null;

    protected function setUp(): void
    {
        StandIns::register();
        // A kernel sets its own error handlers; PHPUnit expects them to be restored.
        set_error_handler(null);
        set_exception_handler(null);
    }

    protected function tearDown(): void
    {
        $this->kernel?->shutdown();
        while (null !== set_error_handler(null)) {
            restore_error_handler();
            restore_error_handler();
        }
        restore_error_handler();
        restore_error_handler();
        while (null !== set_exception_handler(null)) {
            restore_exception_handler();
            restore_exception_handler();
        }
        restore_exception_handler();
        restore_exception_handler();
    }

    /**
     * @param array<string, mixed> $orosync
     * @param list<string>         $with       {@see OroKernel::__construct()}
     * @param array<string, mixed> $parameters
     */
    protected function boot(array $orosync = [], array $with = [], array $parameters = [], string $environment = 'prod'): ContainerInterface
    {
        $this->kernel?->shutdown();
        $this->kernel = new OroKernel($orosync, $with, $parameters, $environment);
        $this->kernel->boot();

        return $this->kernel->getContainer();
    }

    protected function container(): ContainerInterface
    {
        return $this->kernel->getContainer();
    }

    protected function console(): ApplicationTester
    {
        $application = new Application($this->kernel);
        $application->setAutoExit(false);

        return new ApplicationTester($application);
    }

    protected function browser(?UserInterface $user = null): KernelBrowser
    {
        $browser = new KernelBrowser($this->kernel);

        return null === $user ? $browser : $browser->loginUser($user);
    }

    protected function logIn(UserInterface $user): void
    {
        $this->container()->get('security.untracked_token_storage')->setToken(new UsernamePasswordToken($user, 'main', $user->getRoles()));
    }

    protected function publisher(): RecordingPublisher
    {
        return $this->container()->get(RecordingPublisher::class);
    }

    protected function logger(): RecordingLogger
    {
        return $this->container()->get('logger');
    }

    /** The entity manager of a connection, with an empty database that has all tables. */
    protected function manager(string $connection = 'default'): EntityManagerInterface
    {
        $manager = $this->container()->get(sprintf('doctrine.orm.%s_entity_manager', $connection));
        (new SchemaTool($manager))->createSchema($manager->getMetadataFactory()->getAllMetadata());

        return $manager;
    }
}
