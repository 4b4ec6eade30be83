<?php

declare(strict_types=1);

namespace Demo\Command;

use Symfony\Component\Console\Attribute\AsCommand;
use Symfony\Component\Console\Command\Command;
use Symfony\Component\Console\Input\InputArgument;
use Symfony\Component\Console\Input\InputInterface;
use Symfony\Component\Console\Output\OutputInterface;

/** Waits until all servers answer, and a page and a WebSocket through the proxy. Time limit: 20 seconds. */
#[AsCommand(name: 'demo:wait', description: 'Wait until the demo answers at an address')]
final class WaitCommand extends Command
{
    private const SECONDS = 20.0;

    protected function configure(): void
    {
        $this->addArgument('address', InputArgument::REQUIRED, 'Host and port, for example 127.0.0.1:8000');
        $this->addArgument('servers', InputArgument::IS_ARRAY, 'Host and port of each server\'s health checks, for example 127.0.0.1:8081');
    }

    protected function execute(InputInterface $input, OutputInterface $output): int
    {
        $address = $input->getArgument('address');
        $expected = [];
        foreach ($input->getArgument('servers') as $server) {
            $expected[] = [$server, self::get('/readyz', $server), 'HTTP/1.1 200 '];
        }
        $expected[] = [$address, self::get('/login', $address), 'HTTP/1.1 200 '];
        $expected[] = [
            $address,
            "GET /ws HTTP/1.1\r\nHost: $address\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                . "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " . base64_encode(random_bytes(16)) . "\r\n\r\n",
            'HTTP/1.1 101 ',
        ];
        $end = microtime(true) + self::SECONDS;
        foreach ($expected as [$asked, $request, $start]) {
            while (!str_starts_with($answer = $this->firstLine($asked, $request), $start)) {
                if (microtime(true) > $end) {
                    $output->writeln(sprintf(
                        '%s answered "%s" to "%s"; expected was "%s".',
                        $asked,
                        trim($answer),
                        strtok($request, "\r"),
                        trim($start),
                    ));

                    return self::FAILURE;
                }
                usleep(50_000);
            }
        }

        return self::SUCCESS;
    }

    private static function get(string $path, string $host): string
    {
        return "GET $path HTTP/1.1\r\nHost: $host\r\nConnection: close\r\n\r\n";
    }

    /** @return string the first line of the answer, or the error */
    private function firstLine(string $address, string $request): string
    {
        $socket = @stream_socket_client("tcp://$address", $errorCode, $error, 1.0);
        if ($socket === false) {
            return $error;
        }
        stream_set_timeout($socket, 5);
        fwrite($socket, $request);
        $line = fgets($socket);
        fclose($socket);

        return $line === false ? 'nothing' : $line;
    }
}
