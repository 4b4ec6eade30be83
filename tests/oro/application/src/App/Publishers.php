<?php

declare(strict_types=1);

namespace App;

use Oro\Bundle\EmailBundle\Entity\EmailUser;
use Oro\Bundle\EmailBundle\Model\WebSocket\WebSocketSendProcessor as MailProcessor;
use Oro\Bundle\EntityConfigBundle\WebSocket\AttributesImportTopicSender;
use Oro\Bundle\ImapBundle\Entity\UserEmailOrigin;
use Oro\Bundle\ImapBundle\OriginSyncCredentials\NotificationSender\SocketNotificationSender;
use Oro\Bundle\MessageQueueBundle\Command\ConsumerHeartbeatCommand;
use Oro\Bundle\MessageQueueBundle\Consumption\ConsumerHeartbeat;
use Oro\Bundle\OrganizationBundle\Entity\Organization;
use Oro\Bundle\ReminderBundle\Entity\Reminder;
use Oro\Bundle\ReminderBundle\Model\WebSocket\MessageParamsProvider;
use Oro\Bundle\ReminderBundle\Model\WebSocket\WebSocketSendProcessor as ReminderProcessor;
use Oro\Bundle\SyncBundle\Client\ConnectionChecker;
use Oro\Bundle\SyncBundle\Client\WebsocketClientInterface;
use Oro\Bundle\SyncBundle\EventListener\MaintenanceListener;
use Oro\Bundle\UserBundle\Entity\User;
use Symfony\Component\Console\Input\ArrayInput;
use Symfony\Component\Console\Output\NullOutput;
use Symfony\Component\DependencyInjection\ContainerInterface;

/** Calls Oro's own publishers of its nine topics with test messages. */
final class Publishers
{
    private readonly WebsocketClientInterface $client;
    private readonly ConnectionChecker $checker;

    public function __construct(private readonly ContainerInterface $container)
    {
        $this->client = $container->get('oro_sync.websocket_client');
        $this->checker = $container->get('oro_sync.client.connection_checker');
    }

    /** @param array<string> $tags */
    public function tags(array $tags): mixed
    {
        return $this->container->get('oro_sync.content.data_update_topic_sender')->send($tags);
    }

    public function mail(): mixed
    {
        $organization = new Organization();
        $organization->setId(3);
        $inOrganization = new EmailUser();
        $inOrganization->setOrganization($organization);

        return (new MailProcessor($this->client, $this->checker))->send([
            1 => ['entity' => $inOrganization, 'new' => 2],
            2 => ['entity' => new EmailUser(), 'new' => 0],
        ]);
    }

    public function mailbox(?User $owner): mixed
    {
        $origin = new UserEmailOrigin();
        $origin->setUser('x@exämple.org');
        $origin->setImapHost('imap.example.org/ssl');
        if (null !== $owner) {
            $origin->setOwner($owner);
        }

        return (new SocketNotificationSender($this->client, $this->checker))->sendNotification($origin);
    }

    public function attributes(): mixed
    {
        $tokens = $this->container->get('oro_security.token_accessor');

        return (new AttributesImportTopicSender($this->client, $this->checker, $tokens))->send(5);
    }

    /** The heartbeat command without a running consumer. */
    public function heartbeat(): int
    {
        $heartbeat = new class extends ConsumerHeartbeat {
            public function __construct()
            {
            }

            public function isAlive(): bool
            {
                return false;
            }
        };

        return (new ConsumerHeartbeatCommand($heartbeat, $this->checker, $this->client, 15))->run(new ArrayInput([]), new NullOutput());
    }

    /** The state of the reminder after it was sent. */
    public function reminder(User $recipient): string
    {
        $parameters = new class extends MessageParamsProvider {
            public function __construct()
            {
            }

            /** @return array<string, mixed> */
            public function getMessageParams(Reminder $reminder): array
            {
                $expires = new \DateTime('2024-05-01 10:20:30', new \DateTimeZone('UTC'));

                return ['subject' => 'Call "Bob" <b>& co</b> / €', 'expireAt' => $expires, 'id' => 17];
            }
        };
        $reminder = new Reminder();
        $reminder->setRecipient($recipient);
        $processor = new ReminderProcessor($this->client, $this->checker, $parameters);
        $processor->push($reminder);
        $processor->process();
        $state = $reminder->getState();

        return (string) (\is_object($state) ? $state->getId() : $state);
    }

    public function maintenance(): mixed
    {
        $tokens = $this->container->get('oro_security.token_accessor');

        return (new MaintenanceListener($this->client, $this->checker, $tokens))->onModeOff();
    }
}
