<?php

/**
 * OroPlatform's service for publishing, from the sources that bench/peers/oro has checked out. Returns a function that creates it for
 * an address and a ticket, with all classes loaded.
 */

declare(strict_types=1);

use Gos\Component\WebSocketClient\Wamp\WebsocketPayload;
use Oro\Bundle\SyncBundle\Authentication\Ticket\TicketProviderInterface;
use Oro\Bundle\SyncBundle\Client\Wamp\Factory\WampClientFactory;
use Oro\Bundle\SyncBundle\Client\WebsocketClient;
use Oro\Bundle\SyncBundle\Provider\WebsocketClientParametersProviderInterface;
use Symfony\Component\Security\Core\User\UserInterface;

['namespaces' => $namespaces, 'files' => $files] = json_decode(
    file_get_contents(__DIR__ . '/.oro/autoload.json'),
    true,
    512,
    JSON_THROW_ON_ERROR
);
spl_autoload_register(static function (string $class) use ($namespaces): void {
    foreach ($namespaces as $prefix => $directories) {
        foreach (str_starts_with($class, $prefix) ? $directories : [] as $directory) {
            $file = "$directory/" . strtr(substr($class, strlen($prefix)), '\\', '/') . '.php';
            if (is_file($file)) {
                require $file;
            }
        }
    }
});
foreach ($files as $file) {
    require_once $file;
}

return static function (string $host, int $port, string $ticket): WebsocketClient {
    $parameters = new class ($host, $port) implements WebsocketClientParametersProviderInterface {
        public function __construct(private readonly string $host, private readonly int $port)
        {
        }

        public function getHost(): string
        {
            return $this->host;
        }

        public function getPort(): int
        {
            return $this->port;
        }

        public function getPath(): string
        {
            return '/';
        }

        public function getTransport(): string
        {
            return 'tcp';
        }

        public function getContextOptions(): array
        {
            return [];
        }

        public function getUserAgent(): ?string
        {
            return null;
        }
    };
    $tickets = new class ($ticket) implements TicketProviderInterface {
        public function __construct(private readonly string $ticket)
        {
        }

        public function generateTicket(?UserInterface $user = null): string
        {
            return $this->ticket;
        }
    };
    $client = new WebsocketClient(new WampClientFactory(), $parameters, $tickets);
    // Creates the service's client, and loads the classes that publishing uses.
    $client->isConnected();
    class_exists(WebsocketPayload::class);

    return $client;
};
