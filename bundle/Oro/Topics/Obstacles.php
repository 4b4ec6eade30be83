<?php

declare(strict_types=1);

namespace Orosync\Oro\Topics;

use Doctrine\DBAL\Connection;
use Doctrine\Persistence\ManagerRegistry;
use Oro\Component\DoctrineUtils\DBAL\TransactionWatcherAwareInterface;
use Orosync\Command\ServerBinary;
use Orosync\Endpoint\BindAddress;
use Orosync\Endpoint\InvalidEndpointException;
use Orosync\Endpoint\ServerAtPort;
use Orosync\Publishing\PublisherInterface;
use Orosync\Test\InMemoryPublisher;
use Orosync\Ticket\TicketIssuerInterface;
use Orosync\Ticket\TicketUnavailableException;

/** What on this machine keeps the application from its live notifications, as far as the console can see it. */
final class Obstacles
{
    private const TICKET_SECONDS = 60;

    /**
     * @param string $publicDirectory where the web server finds what assets:install publishes
     * @param string $environment     the kernel's
     */
    public function __construct(
        private readonly PublisherInterface $publisher,
        private readonly TicketIssuerInterface $tickets,
        private readonly ServerBinary $binary,
        private readonly BindAddress $bind,
        private readonly ServerAtPort $server,
        private readonly string $publicDirectory,
        private readonly ManagerRegistry $doctrine,
        private readonly string $environment,
    ) {
    }

    /** @return list<string> a sentence each, with what to do */
    public function find(): array
    {
        return array_values(array_filter([
            $this->ofThePublisher(),
            $this->ofTheBinary(),
            $this->ofThePort(),
            $this->ofTheAssets(),
            $this->ofTheConnection(),
            $this->ofTheEnvironment(),
        ]));
    }

    private function ofThePublisher(): ?string
    {
        $status = $this->publisher->status();

        return $status->accepts() ? null : 'Nothing is sent: ' . ($status->lastError ?? 'the publisher is ' . $status->state);
    }

    private function ofTheBinary(): ?string
    {
        try {
            $this->binary->path();
        } catch (\RuntimeException $e) {
            return $e->getMessage();
        }

        return null;
    }

    private function ofThePort(): ?string
    {
        try {
            // What the server's own file says is not read here.
            $address = $this->bind->isTold() ? $this->bind->resolve() : null;
            $server = null === $address
                ? ServerAtPort::NOBODY
                : $this->server->identify($address, $this->tickets->issue(['role' => 'anonymous'], self::TICKET_SECONDS));
        } catch (InvalidEndpointException $e) {
            return $e->getMessage();
        } catch (TicketUnavailableException) {
            // The publisher's line says why.
            return null;
        }

        return match ($server) {
            ServerAtPort::NOBODY, ServerAtPort::OURS => null,
            ServerAtPort::ANOTHER => sprintf(
                '%s has an orosync-server with another secret. Give each application of a machine an address of its own '
                . '(orosync.server.bind or websocket_server_dsn, and the same port for backend and frontend).',
                $address,
            ),
            ServerAtPort::FOREIGN => sprintf(
                '%s has another program, which is no orosync-server. If it is Oro\'s old server, stop it first; '
                . 'else choose another address (orosync.server.bind or websocket_server_dsn).',
                $address,
            ),
        };
    }

    /** Before the bundle got a directory of assets of its own, it published them over OroSyncBundle's. */
    private function ofTheAssets(): ?string
    {
        $directory = $this->publicDirectory . '/bundles/orosync';

        return is_file($directory . '/content-tracker.js')
            ? sprintf('%s holds Orosync\'s browser client in the place of Oro\'s JavaScript. Run oro:assets:install.', $directory)
            : null;
    }

    /** Tags wait for what Oro's own class of the default connection tells. It is there where nobody has set another after Oro. */
    private function ofTheConnection(): ?string
    {
        $connection = $this->doctrine->getConnection();
        if (!$connection instanceof TransactionWatcherAwareInterface) {
            return sprintf(
                'The default connection, a %s, tells Oro of no transactions: tags leave with the flush, before the commit. '
                . 'Set its wrapper_class in doctrine.dbal, which Oro extends, and not after Oro\'s compiler passes.',
                $connection::class,
            );
        }

        return $connection instanceof Connection && !$connection->isAutoCommit()
            ? 'The default connection has auto_commit: false. Tags leave with the flush, before the commit.'
            : null;
    }

    private function ofTheEnvironment(): ?string
    {
        return 'test' === $this->environment && !$this->publisher instanceof InMemoryPublisher
            ? 'In the environment "test" messages go to a server, and functional tests ask for one. Remove orosync.test: false.'
            : null;
    }
}
