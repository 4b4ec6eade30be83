<?php

declare(strict_types=1);

namespace Orosync\Tests;

use Doctrine\ORM\EntityManagerInterface;
use Doctrine\ORM\Tools\SchemaTool;
use Orosync\Tests\Application\Kernel;
use Orosync\Tests\Application\RecordingLogger;
use Orosync\Tests\Application\User;
use PHPUnit\Framework\TestCase;
use Symfony\Bundle\FrameworkBundle\KernelBrowser;
use Symfony\Component\DependencyInjection\ContainerInterface;
use Symfony\Component\Security\Core\Authentication\Token\UsernamePasswordToken;

/** A test with a booted application, one at a time. */
abstract class ApplicationTestCase extends TestCase
{
    private ?Kernel $kernel = null;

    private ?Handlers $handlers = null;

    protected function tearDown(): void
    {
        $this->kernel?->shutdown();
        $this->handlers?->restore();
    }

    /**
     * @param array<string, mixed> $orosync
     * @param array<string, mixed> $parameters
     * @param list<string>         $with       {@see Kernel::__construct()}
     * @param array<string, mixed> $providers  likewise
     */
    protected function boot(
        array $orosync = [],
        array $parameters = [],
        array $with = ['security', 'twig', 'doctrine'],
        array $providers = Kernel::PROVIDERS,
    ): ContainerInterface {
        $this->kernel?->shutdown();
        $this->kernel = new Kernel($orosync, $parameters, $with, $providers);
        $this->handlers ??= Handlers::now();
        $this->kernel->boot();

        return $this->kernel->getContainer();
    }

    protected function kernel(): Kernel
    {
        return $this->kernel ?? throw new \LogicException('Call boot() first.');
    }

    protected function browser(?User $user = null): KernelBrowser
    {
        $browser = new KernelBrowser($this->kernel());

        return null === $user ? $browser : $browser->loginUser($user);
    }

    protected function publisher(): RecordingPublisher
    {
        return $this->kernel()->getContainer()->get(RecordingPublisher::class);
    }

    protected function logger(): RecordingLogger
    {
        return $this->kernel()->getContainer()->get('logger');
    }

    /** The entity manager of a connection, with an empty database that has all tables. */
    protected function manager(string $connection = 'default'): EntityManagerInterface
    {
        $manager = $this->kernel()->getContainer()->get(sprintf('doctrine.orm.%s_entity_manager', $connection));
        (new SchemaTool($manager))->createSchema($manager->getMetadataFactory()->getAllMetadata());

        return $manager;
    }

    protected function logIn(User $user): void
    {
        $this->kernel()->getContainer()->get('security.untracked_token_storage')->setToken(new UsernamePasswordToken($user, 'main', $user->getRoles()));
    }
}
