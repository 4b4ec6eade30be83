<?php

declare(strict_types=1);

namespace Orosync\Tests\DependencyInjection;

use Orosync\DependencyInjection\Configuration;
use Orosync\Tests\ApplicationTestCase;
use Symfony\Component\Config\Definition\ArrayNode;
use Symfony\Component\Config\Definition\BaseNode;
use Symfony\Component\Config\Definition\Exception\InvalidConfigurationException;

final class ConfigurationTest extends ApplicationTestCase
{
    public function testEveryNodeHasADescriptionAndAnExample(): void
    {
        $root = (new Configuration())->getConfigTreeBuilder()->buildTree();
        $nodes = self::below($root);

        self::assertGreaterThan(10, \count($nodes));
        foreach ($nodes as $node) {
            self::assertStringEndsWith('.', (string) $node->getInfo(), $node->getPath());
            self::assertNotNull($node->getExample(), $node->getPath());
        }
    }

    public function testEverySettingHasADefault(): void
    {
        $container = $this->boot();

        self::assertSame('ws://127.0.0.1:8080/', $container->get('orosync.backend_endpoint')->resolve());
        self::assertSame('ws://localhost:8080/ws', $container->get('orosync.frontend_endpoint')->resolve()->url());
        self::assertSame('0.0.0.0:8080', $container->get('orosync.bind_address')->resolve());
        $secret = hash('sha256', 'orosync:the application\'s own secret');
        self::assertSame(['secret' => $secret], $container->get('orosync.shared_secret')->forPublisher());
        self::assertSame($secret, $container->get('orosync.shared_secret')->forServer()['OROSYNC_AUTH__SECRET']);
    }

    public function testSecretAndSecretFileTogetherAreRefused(): void
    {
        $this->expectException(InvalidConfigurationException::class);
        $this->expectExceptionMessage('orosync.secret and orosync.secret_file are both set.');

        $this->boot(['secret' => 'a', 'secret_file' => '/b']);
    }

    public function testAWrongEndpointIsRefusedWhenTheContainerIsBuilt(): void
    {
        $this->expectException(InvalidConfigurationException::class);
        $this->expectExceptionMessage('orosync.backend: "//:1" is not an endpoint.');

        $this->boot(['backend' => '//:1']);
    }

    public function testAFrontendPathUsesThePagesHost(): void
    {
        $container = $this->boot(['frontend' => '/ws']);

        self::assertSame('ws://localhost:80/ws', $container->get('orosync.frontend_endpoint')->resolve()->url());
    }

    public function testAWrongHostIsRefusedWhenTheContainerIsBuilt(): void
    {
        $this->expectException(InvalidConfigurationException::class);
        $this->expectExceptionMessage('orosync.ticket.origins: "https://crm.example.com" is not a host.');

        $this->boot(['ticket' => ['origins' => ['shop.example.com', 'https://crm.example.com']]]);
    }

    public function testTooManyHostsAreRefusedWhenTheContainerIsBuilt(): void
    {
        $this->expectException(InvalidConfigurationException::class);
        $this->expectExceptionMessage('orosync.ticket.origins: 17 hosts, a ticket holds at most 16.');

        $this->boot(['ticket' => ['origins' => array_fill(0, 17, 'a')]]);
    }

    public function testAHostMayBeAnEnvironmentVariable(): void
    {
        $_ENV['CRM_HOST'] = 'crm.example.com';
        try {
            $container = $this->boot(['ticket' => ['origins' => ['%env(CRM_HOST)%']]]);
            self::assertSame(['origins' => ['crm.example.com']], $container->get('orosync.ticket_origins')->claim());
        } finally {
            unset($_ENV['CRM_HOST']);
        }
    }

    public function testFalseSwitchesAnEndpointOff(): void
    {
        $container = $this->boot(['backend' => false, 'frontend' => false, 'server' => ['bind' => false]]);

        self::assertNull($container->get('orosync.backend_endpoint')->resolve());
        self::assertNull($container->get('orosync.frontend_endpoint')->resolve());
        self::assertNull($container->get('orosync.bind_address')->resolve());
    }

    /** @return list<BaseNode> without the root */
    private static function below(BaseNode $node): array
    {
        $nodes = [];
        foreach ($node instanceof ArrayNode ? $node->getChildren() : [] as $child) {
            array_push($nodes, $child, ...self::below($child));
        }

        return $nodes;
    }
}
