<?php

declare(strict_types=1);

namespace Orosync\Oro\Topics;

use Doctrine\DBAL\Connection;
use Doctrine\Persistence\ManagerRegistry;
use Oro\Component\DoctrineUtils\DBAL\TransactionWatcherAwareInterface;
use Orosync\Command\ServerBinary;
use Orosync\Endpoint\BindAddress;
use Orosync\Endpoint\InvalidEndpointException;
use Orosync\Endpoint\ServerProbe;
use Orosync\Publishing\PublisherInterface;
use Orosync\Test\InMemoryPublisher;
use Orosync\Ticket\TicketIssuerInterface;
use Orosync\Ticket\TicketUnavailableException;

/** Finds problems on this machine that prevent live notifications, as far as the console can see them. */
final class Obstacles
{
    private const TICKET_SECONDS = 60;

    /**
     * @param string $publicDirectory target directory of assets:install
     * @param string $environment     kernel environment
     */
    public function __construct(
        private readonly PublisherInterface $publisher,
        private readonly TicketIssuerInterface $tickets,
        private readonly ServerBinary $binary,
        private readonly BindAddress $bind,
        private readonly ServerProbe $probe,
        private readonly string $publicDirectory,
        private readonly ManagerRegistry $doctrine,
        private readonly string $environment,
    ) {
    }

    /** @return list<string> one sentence per problem, with what to do */
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
            // The server's own file is not read here.
            $address = $this->bind->isConfigured() ? $this->bind->resolve() : null;
            $server = null === $address
                ? ServerProbe::UNREACHABLE
                : $this->probe->probe($address, $this->tickets->issue(['role' => 'anonymous'], self::TICKET_SECONDS));
        } catch (InvalidEndpointException $e) {
            return $e->getMessage();
        } catch (TicketUnavailableException) {
            // The publisher's line reports the reason.
            return null;
        }

        return match ($server) {
            ServerProbe::UNREACHABLE, ServerProbe::ACCEPTED => null,
            ServerProbe::TICKET_REJECTED => sprintf(
                '%s: an orosync-server with another secret is running there. Give each application on this machine its own address '
                . '(orosync.server.bind or websocket_server_dsn, and the same port for backend and frontend).',
                $address,
            ),
            ServerProbe::OTHER_PROGRAM => sprintf(
                '%s: another program is running there, not orosync-server. If it is Oro\'s old server, stop it first; '
                . 'otherwise choose another address (orosync.server.bind or websocket_server_dsn).',
                $address,
            ),
        };
    }

    /** An early version of the bundle published its assets over those of OroSyncBundle. */
    private function ofTheAssets(): ?string
    {
        $directory = $this->publicDirectory . '/bundles/orosync';

        return is_file($directory . '/content-tracker.js')
            ? sprintf('%s contains Orosync\'s browser client instead of Oro\'s JavaScript. Run oro:assets:install.', $directory)
            : null;
    }

    /** Tags wait for reports of Oro's connection class, which another class set after Oro replaces. */
    private function ofTheConnection(): ?string
    {
        $connection = $this->doctrine->getConnection();
        if (!$connection instanceof TransactionWatcherAwareInterface) {
            return sprintf(
                'The default connection (%s) does not report transactions to Oro: tags are sent with the flush, before the commit. '
                . 'Set its wrapper_class in doctrine.dbal, which Oro extends, and not after Oro\'s compiler passes.',
                $connection::class,
            );
        }

        return $connection instanceof Connection && !$connection->isAutoCommit()
            ? 'The default connection has auto_commit: false. Tags are sent with the flush, before the commit.'
            : null;
    }

    private function ofTheEnvironment(): ?string
    {
        return 'test' === $this->environment && !$this->publisher instanceof InMemoryPublisher
            ? 'In the environment "test" messages are sent to a server, so functional tests need one. Remove orosync.test: false.'
            : null;
    }
}
