<?php

declare(strict_types=1);

namespace Orosync\Command;

use Orosync\Ticket\BrowserTickets;
use Symfony\Component\Console\Attribute\AsCommand;
use Symfony\Component\Console\Command\Command;
use Symfony\Component\Console\Input\InputArgument;
use Symfony\Component\Console\Input\InputInterface;
use Symfony\Component\Console\Input\InputOption;
use Symfony\Component\Console\Output\OutputInterface;
use Symfony\Component\Security\Core\Authentication\Token\Storage\TokenStorageInterface;
use Symfony\Component\Security\Core\Authentication\Token\UsernamePasswordToken;
use Symfony\Component\Security\Core\Exception\AuthenticationException;
use Symfony\Component\Security\Core\User\ChainUserProvider;
use Symfony\Component\Security\Core\User\UserInterface;
use Symfony\Contracts\Service\ServiceProviderInterface;

/**
 * Prints a browser ticket for a user, for curl and for tests.
 *
 * The application's user providers load the user, who is in the security token while the ticket is issued. So claims and grants
 * are those of the user's own pages.
 */
#[AsCommand(name: 'orosync:ticket', description: 'Print a one-time browser ticket for a user')]
final class TicketCommand extends Command
{
    use ReportsErrors;

    /**
     * @param \Closure(): BrowserTickets $tickets
     * @param ServiceProviderInterface   $providers user providers by their names in the security bundle's configuration
     */
    public function __construct(
        private readonly \Closure $tickets,
        private readonly ?TokenStorageInterface $tokens,
        private readonly ServiceProviderInterface $providers,
    ) {
        parent::__construct();
    }

    protected function configure(): void
    {
        $this
            ->addArgument('user', InputArgument::OPTIONAL, 'The user\'s login name (default: an anonymous user)')
            ->addOption('provider', null, InputOption::VALUE_REQUIRED, 'The user provider to use, if several know the name')
            ->setHelp(
                "The ticket opens one connection and is valid for <info>orosync.ticket.ttl</info> seconds:\n\n"
                . "  <info>curl -isN --max-time 2 -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' \\\n"
                . "    -H 'Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==' \"http://127.0.0.1:8080/?ticket=\$(bin/console orosync:ticket anna)\"</info>\n\n"
                . 'Status 101: accepted. Status 401: rejected; the answer contains the reason.',
            );
    }

    protected function execute(InputInterface $input, OutputInterface $output): int
    {
        return self::reportingErrors($output, function () use ($input, $output): int {
            $name = $input->getArgument('user');
            $ticket = null === $name
                ? ($this->tickets)()->forUser(null)
                : $this->ticketOf($this->find($name, $input->getOption('provider')));
            $output->writeln($ticket, OutputInterface::OUTPUT_RAW);

            return Command::SUCCESS;
        });
    }

    private function ticketOf(UserInterface $user): string
    {
        $before = $this->tokens?->getToken();
        try {
            $this->tokens?->setToken(new UsernamePasswordToken($user, 'orosync', $user->getRoles()));

            return ($this->tickets)()->forCurrentUser();
        } finally {
            $this->tokens?->setToken($before);
        }
    }

    private function find(string $name, ?string $only): UserInterface
    {
        $names = array_keys($this->providers->getProvidedServices());
        sort($names);
        if (null !== $only && !\in_array($only, $names, true)) {
            throw new \RuntimeException(sprintf('--provider: there is no user provider "%s". Available: %s.', $only, self::listed($names)));
        }
        $found = [];
        $reasons = [];
        foreach (null === $only ? $names : [$only] as $provider) {
            try {
                $user = $this->load($provider, $name, null === $only);
                if (null !== $user) {
                    $found[$provider] = $user;
                }
            } catch (AuthenticationException $e) {
                $reasons[] = sprintf('%s: %s', $provider, '' === $e->getMessage() ? $e->getMessageKey() : $e->getMessage());
            }
        }
        if (1 === \count($found)) {
            return current($found);
        }

        throw new \RuntimeException([] === $found
            ? sprintf('No user provider knows "%s" (%s).', $name, [] === $reasons ? 'there is none' : implode(' ', $reasons))
            : sprintf('Several user providers know "%s": %s. Name one with --provider.', $name, self::listed(array_keys($found))));
    }

    /** @return UserInterface|null null: a chain, whose members are searched separately */
    private function load(string $provider, string $name, bool $amongOthers): ?UserInterface
    {
        $users = $this->providers->get($provider);
        if ($amongOthers && $users instanceof ChainUserProvider) {
            return null;
        }

        // User providers of OroPlatform 5.0 and 5.1 only have the older method.
        return method_exists($users, 'loadUserByIdentifier') ? $users->loadUserByIdentifier($name) : $users->loadUserByUsername($name);
    }

    /** @param list<string> $names */
    private static function listed(array $names): string
    {
        return [] === $names ? 'none' : implode(', ', $names);
    }
}
