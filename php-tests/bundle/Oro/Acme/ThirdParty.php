<?php

declare(strict_types=1);

namespace Orosync\Tests\Oro\Acme;

use Oro\Bundle\SyncBundle\Authentication\Ticket\TicketProvider;
use Oro\Bundle\SyncBundle\Client\ConnectionChecker;
use Oro\Bundle\SyncBundle\Client\WebsocketClient;
use Oro\Bundle\SyncBundle\Client\WebsocketClientInterface;
use Oro\Bundle\SyncBundle\Content\DataUpdateTopicSender;

/** A third-party bundle that declares Oro's types, including concrete classes. */
final class ThirdParty
{
    public function __construct(
        public readonly WebsocketClientInterface $client,
        public readonly WebsocketClient $concrete,
        public readonly ConnectionChecker $checker,
        public readonly TicketProvider $tickets,
        public readonly DataUpdateTopicSender $tags,
    ) {
    }
}
