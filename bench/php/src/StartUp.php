<?php

declare(strict_types=1);

namespace Orosync\Bench;

/**
 * Measures start-up times in milliseconds: orosync-server until it answers /readyz, Redis and NGINX until they accept a
 * connection, and PHP from the command line to the end of an empty script, with and without the extension.
 */
final class StartUp
{
    public function __construct(private readonly Stage $stage, private readonly Effort $effort)
    {
    }

    public function answer(): Result
    {
        $result = new Result('start_up', 'Start-up', 'ms', $this->stage);
        $servers = ['orosync' => $this->orosync(...), 'redis' => $this->redis(...), 'nginx' => $this->nginx(...)];
        $empty = [PHP_BINARY, '-n', '-r', ''];
        $php = [
            'php_alone' => $empty,
            'php_with_orosync' => [...$empty, '-d', "extension={$this->stage->extension}"],
            'php_with_redis' => [...$empty, '-d', 'extension=igbinary', '-d', 'extension=redis'],
        ];
        for ($turn = 0; $turn < $this->effort->of(3, 20); ++$turn) {
            foreach ($servers as $server => $start) {
                $result->add('a server, until it answers', $server, $start());
            }
            foreach ($php as $peer => $command) {
                $begin = hrtime(true);
                Process::run($command);
                $result->add('an empty PHP script', $peer, (hrtime(true) - $begin) / 1e6);
            }
        }

        return $result;
    }

    private function orosync(): float
    {
        $admin = Stage::freeAddress();
        $command = [$this->stage->server, 'serve', '--bind', Stage::freeAddress(), '--admin-bind', $admin];
        $ready = static function () use ($admin): bool {
            $socket = @stream_socket_client("tcp://$admin", $code, $message, 1.0);
            if ($socket === false) {
                return false;
            }
            fwrite($socket, "GET /readyz HTTP/1.0\r\n\r\n");

            return str_contains((string) fgets($socket), ' 200 ');
        };

        return $this->time([...$command, '--secret-file', $this->stage->secretFile], $ready);
    }

    private function redis(): float
    {
        $address = Stage::freeAddress();
        [$host, $port] = explode(':', $address);
        $command = ['redis-server', '--bind', $host, '--port', $port, '--save', '', '--dir', $this->stage->directory];

        return $this->time($command, static fn (): bool => Process::listens("tcp://$address"));
    }

    private function nginx(): float
    {
        $address = Stage::freeAddress();
        $configuration = $this->stage->file('second-nginx.conf');
        $text = str_replace($this->stage->web, $address, file_get_contents($this->stage->file('nginx.conf')));
        file_put_contents($configuration, str_replace('/nginx.pid', '/second-nginx.pid', $text));
        $command = ['/usr/sbin/nginx', '-e', $this->stage->file('second-nginx.log'), '-c', $configuration];

        return $this->time($command, static fn (): bool => Process::listens("tcp://$address"));
    }

    private function time(array $command, callable $answers): float
    {
        $begin = hrtime(true);
        $process = new Process($command, $this->stage->file('started.log'));
        $process->await('answering', $answers);
        $time = (hrtime(true) - $begin) / 1e6;
        $process->stop();

        return $time;
    }
}
