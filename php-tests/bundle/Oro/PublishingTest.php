<?php

declare(strict_types=1);

namespace Orosync\Tests\Oro;

use Oro\Bundle\SyncBundle\Client\LoggerAwareWebsocketClientDecorator;
use Oro\Bundle\SyncBundle\Client\WebsocketClient;
use Oro\Bundle\SyncBundle\Exception\ValidationFailedException;
use Oro\Bundle\UserBundle\Entity\User;

final class PublishingTest extends OroTestCase
{
    public function testOrosServicesPublishWithTheExtension(): void
    {
        $container = $this->boot();
        $client = $container->get('oro_sync.websocket_client');

        self::assertInstanceOf(LoggerAwareWebsocketClientDecorator::class, $client);
        self::assertTrue($client->publish('oro/outdated_user_page', ['role' => 'ROLE_MANAGER']));
        self::assertSame(['{"role":"ROLE_MANAGER"}'], $this->publisher()->take('oro/outdated_user_page'));
        self::assertTrue($container->get('oro_sync.websocket_client.basic')->publish('oro/message_queue_heartbeat', ''));
        self::assertSame(['""'], $this->publisher()->take('oro/message_queue_heartbeat'));
    }

    public function testServicesHaveTheTypesThatThirdPartiesDeclare(): void
    {
        $thirdParty = $this->boot([], ['acme'])->get('acme.third_party');

        self::assertInstanceOf(WebsocketClient::class, $thirdParty->concrete);
        self::assertTrue($thirdParty->checker->checkConnection());
        self::assertTrue($thirdParty->tags->send(['a']));
    }

    public function testADecoratorOfAThirdPartyIsKept(): void
    {
        $container = $this->boot([], ['acme decorator']);
        $container->get('oro_sync.websocket_client')->publish('oro/maintenance', ['isOn' => false, 'userId' => null]);

        self::assertSame(1, $container->get('acme.client')->published);
        self::assertCount(1, $this->publisher()->take('oro/maintenance'));
    }

    public function testConnectAndDisconnectNeitherThrowNorDoIo(): void
    {
        $client = $this->boot()->get('oro_sync.websocket_client');

        self::assertTrue($client->isConnected());
        self::assertSame('orosync-publisher', $client->connect());
        self::assertTrue($client->disconnect());
        self::assertTrue($client->isConnected());
        self::assertTrue($client->prefix('p', 'http://example.com/'));
    }

    public function testACallIsIgnoredAndLogged(): void
    {
        $client = $this->boot()->get('oro_sync.websocket_client');

        self::assertFalse($client->call('acme/add', [1, 2]));
        self::assertCount(1, $this->logger()->lines('warning: The call of acme/add is ignored'));
    }

    public function testAnEventIsPublished(): void
    {
        self::assertTrue($this->boot()->get('oro_sync.websocket_client')->event('oro/maintenance', ['isOn' => true]));
        self::assertSame(['{"isOn":true}'], $this->publisher()->take('oro/maintenance'));
    }

    public function testAnInvalidPayloadThrowsTheExceptionThatOrosDecoratorLogs(): void
    {
        $container = $this->boot();

        self::assertFalse($container->get('oro_sync.websocket_client')->publish('oro/maintenance', "\xE9"));
        self::assertCount(1, $this->logger()->lines('error: Oro\'s decorator: Malformed UTF-8'));
        $this->expectException(ValidationFailedException::class);
        $container->get('oro_sync.websocket_client.basic')->publish('oro/maintenance', \NAN);
    }

    public function testTheConnectionCheckerReturnsTrueWithoutIo(): void
    {
        // Port 2 has no listener and is not used by other tests. A page may connect once there is one.
        $container = $this->boot(['backend' => '//127.0.0.1:2'], extension_loaded('orosync') ? ['publisher'] : []);
        $checker = $container->get('oro_sync.client.connection_checker');

        self::assertTrue($checker->checkConnection());
        self::assertTrue($checker->isConfigured());
        if (extension_loaded('orosync')) {
            self::assertSame('idle', $container->get(\Orosync\Publishing\PublisherInterface::class)->status()->state);
        }
    }

    public function testTheConnectionCheckerReturnsFalseIfWebsocketsAreSwitchedOff(): void
    {
        foreach (['', 'null'] as $off) {
            $container = $this->boot([], ['publisher'], ['websocket_backend_dsn' => $off]);
            $checker = $container->get('oro_sync.client.connection_checker');

            self::assertFalse($checker->checkConnection(), $off);
            self::assertFalse($checker->isConfigured(), $off);
            self::assertFalse($container->get('oro_sync.websocket_client')->isConnected());
            self::assertNull($container->get('oro_sync.websocket_client')->connect());
        }
    }

    public function testInTheTestEnvironmentOrosOwnSubstituteIsKept(): void
    {
        self::assertFalse($this->boot([], [], [], 'test')->get('oro_sync.client.connection_checker')->checkConnection());
    }

    public function testAPageMayConnectAlthoughTheServerIsDown(): void
    {
        $container = $this->boot(['backend' => '//127.0.0.1:2'], extension_loaded('orosync') ? ['publisher'] : []);

        self::assertSame('yes', $container->get('twig')->createTemplate('{{ check_ws() ? "yes" : "no" }}')->render());
    }

    public function testMaintenanceIsPublishedOnceByOrosOwnListener(): void
    {
        $container = $this->boot();
        $this->logIn(new User('ann', 7));
        $container->get('event_dispatcher')->dispatch(new \stdClass(), 'maintenance.on');
        self::assertSame(['{"isOn":true,"userId":7}'], $this->publisher()->take('oro/maintenance'));
        $container->get('event_dispatcher')->dispatch(new \stdClass(), 'maintenance.off');

        self::assertSame(['{"isOn":false,"userId":7}'], $this->publisher()->take('oro/maintenance'));
    }
}
