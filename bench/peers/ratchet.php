<?php

declare(strict_types=1);

use Ratchet\ConnectionInterface;
use Ratchet\Http\HttpServer;
use Ratchet\Server\IoServer;
use Ratchet\Wamp\WampServer;
use Ratchet\Wamp\WampServerInterface;
use Ratchet\WebSocket\WsServer;

require $argv[1] . '/autoload.php';

/** Sends each publication to all subscribers of its topic, like the Ratchet server of OroSyncBundle. */
final class Broadcast implements WampServerInterface
{
    public function onOpen(ConnectionInterface $connection): void
    {
    }

    public function onClose(ConnectionInterface $connection): void
    {
    }

    public function onError(ConnectionInterface $connection, Exception $exception): void
    {
        $connection->close();
    }

    public function onSubscribe(ConnectionInterface $connection, $topic): void
    {
    }

    public function onUnSubscribe(ConnectionInterface $connection, $topic): void
    {
    }

    public function onCall(ConnectionInterface $connection, $id, $topic, array $params): void
    {
        $connection->callResult($id, []);
    }

    public function onPublish(ConnectionInterface $connection, $topic, $event, array $exclude, array $eligible): void
    {
        $topic->broadcast($event);
    }
}

IoServer::factory(new HttpServer(new WsServer(new WampServer(new Broadcast()))), (int) $argv[2], '127.0.0.1')->run();
