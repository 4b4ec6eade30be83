<?php

declare(strict_types=1);

namespace Orosync\Bench;

/** The environment of all benchmarks: paths, running servers, and how PHP is started. Stopped on destruction. */
final class Stage
{
    public readonly string $directory;
    public readonly string $server;
    public readonly string $extension;
    public readonly string $secretFile;
    public readonly Machine $machine;
    /** Address of orosync-server: host and port. */
    public readonly string $orosync;
    public readonly string $redis;
    /** Address of NGINX: FPM pages, and nchan below /publish/. */
    public readonly string $web;
    /** Address of a sink that accepts all data and answers nothing. */
    public readonly string $sink;
    /** An address without a server. */
    public readonly string $nowhere;
    private readonly int $cores;
    /** @var list<Process> */
    private array $processes = [];

    public function __construct(public readonly string $repository)
    {
        $target = getenv('CARGO_TARGET_DIR') ?: "$repository/target";
        $this->server = getenv('OROSYNC_SERVER_BIN') ?: "$target/release/orosync-server";
        $this->extension = getenv('OROSYNC_EXTENSION') ?: "$target/release/liborosync.so";
        foreach ([$this->server, $this->extension] as $artefact) {
            if (!is_file($artefact)) {
                throw new \RuntimeException("$artefact is missing. Build it first: make build");
            }
        }
        $this->machine = Machine::here((getenv('BENCH_PROGRAMS') ?: "$target/release") . '/machine');
        $this->cores = (int) Process::run(['nproc']);
        $this->directory = rtrim(Process::run(['mktemp', '--directory', '--tmpdir', 'orosync-bench.XXXXXX']));
        $this->secretFile = "$this->directory/secret";
        file_put_contents($this->secretFile, bin2hex(random_bytes(32)));
        $this->orosync = self::freeAddress();
        $this->redis = self::freeAddress();
        $this->web = self::freeAddress();
        $this->sink = self::freeAddress();
        $this->nowhere = self::freeAddress();
        $this->startServer();
        $this->startRedis();
        $this->startSink();
        $this->startFpm('requests', 1, $this->onOtherCores());
        // Pages use all cores of the machine, as in production.
        $this->startFpm('pages', 4, []);
        $this->startWeb();
    }

    public function __destruct()
    {
        foreach (array_reverse($this->processes) as $process) {
            $process->stop();
        }
        Process::run(['rm', '-r', $this->directory]);
    }

    /** @return array<string, string> versions of the measured programs, by their names in the results */
    public function versions(): array
    {
        $nginx = Process::run(['sh', '-c', '/usr/sbin/nginx -v 2>&1']);
        $nchan = Process::run(['dpkg-query', '--show', '--showformat=${Version}', 'libnginx-mod-nchan']);

        return [
            'orosync' => trim(Process::run([$this->server, '--version'])),
            'php' => PHP_VERSION,
            'phpredis' => trim(Process::run([...$this->php(), '-r', 'echo phpversion("redis");'])),
            'redis' => preg_replace('/^.* v=(\S+).*$/s', '$1', Process::run(['redis-server', '--version'])),
            'nginx' => trim(substr(strrchr($nginx, '/'), 1)),
            'nchan' => $nchan,
        ];
    }

    /**
     * A PHP command line as for an application: opcache, the clients of all peers, and the extension.
     *
     * @param array<string, string> $settings
     * @return list<string>
     */
    public function php(array $settings = []): array
    {
        return [PHP_BINARY, '-n', ...$this->options($settings + ['opcache.enable_cli' => '1'])];
    }

    /**
     * Runs one of the measured scripts and returns its results.
     *
     * @param array<string, string> $settings
     * @param list<string> $under a program that runs PHP
     */
    public function measure(string $script, array $arguments, array $settings = [], array $under = []): array
    {
        $arguments = json_encode($arguments + $this->addresses(), JSON_THROW_ON_ERROR);
        $command = [...$this->onOtherCores(), ...$under, ...$this->php($settings), $this->measured($script), $arguments];

        return json_decode(Process::run($command), true, 512, JSON_THROW_ON_ERROR);
    }

    /** The URL of an FPM page behind NGINX, with the addresses of the peers. */
    public function url(string $script, array $query = []): string
    {
        return "http://$this->web/$script?" . http_build_query($query + $this->addresses());
    }

    /** Requests an FPM page through NGINX. */
    public function request(string $script, array $query): array
    {
        $page = file_get_contents($this->url($script, $query));

        return json_decode($page, true) ?? throw new \RuntimeException("$script answered:\n$page");
    }

    /**
     * Requests a page without waiting for the response.
     *
     * @return resource
     */
    public function beginRequest(string $script, array $query)
    {
        $query = http_build_query($query + $this->addresses());
        $socket = stream_socket_client("tcp://$this->web", $code, $message, 5.0);
        fwrite($socket, "GET /$script?$query HTTP/1.0\r\n\r\n");

        return $socket;
    }

    /**
     * Servers and their load run on the first core, PHP on the others, as if they were two machines.
     *
     * @return list<string>
     */
    public function onServersCore(): array
    {
        return $this->cores > 1 ? ['taskset', '--cpu-list', '0'] : [];
    }

    /** @return list<string> */
    private function onOtherCores(): array
    {
        return $this->cores > 1 ? ['taskset', '--cpu-list', '1-' . ($this->cores - 1)] : [];
    }

    public function measured(string $script): string
    {
        return dirname(__DIR__) . "/measured/$script";
    }

    /** A temporary file, deleted afterwards. */
    public function file(string $name): string
    {
        return "$this->directory/$name";
    }

    /** A free host and port. */
    public static function freeAddress(): string
    {
        return stream_socket_get_name(stream_socket_server('tcp://127.0.0.1:0'), false);
    }

    /** @return array<string, string> the peers' addresses, for the measured scripts */
    private function addresses(): array
    {
        return [
            'orosync' => $this->orosync,
            'redis' => $this->redis,
            'nchan' => $this->web,
            'sink' => $this->sink,
            'nowhere' => $this->nowhere,
        ];
    }

    /** @return list<string> */
    private function options(array $settings): array
    {
        $options = ['-d', 'zend_extension=opcache'];
        // Debian's phpredis is built with igbinary and needs it loaded first.
        foreach (['igbinary', 'redis', 'curl', $this->extension] as $extension) {
            array_push($options, '-d', "extension=$extension");
        }
        $settings += ['orosync.endpoint' => "ws://$this->orosync/", 'orosync.secret_file' => $this->secretFile];
        // The output of a script is its result.
        $settings += ['display_errors' => 'stderr'];
        foreach ($settings as $name => $value) {
            array_push($options, '-d', "$name=\"$value\"");
        }

        return $options;
    }

    private function start(string $name, array $command): Process
    {
        return $this->processes[] = new Process($command, $this->file("$name.log"));
    }

    private function startServer(): void
    {
        // The WAMP client publishes as a session with a user's ticket, at a higher rate than browsers are allowed.
        file_put_contents($this->file('orosync.toml'), <<<TOML
            bind = ["$this->orosync"]
            admin_bind = ""
            [auth]
            secret_file = "$this->secretFile"
            [limits]
            messages_per_second = 1000000
            message_burst = 1000000
            [[topics]]
            pattern = "bench/{name}"
            subscribe = "anyone"
            publish = "user"

            TOML);
        $command = [$this->server, 'serve', '--config', $this->file('orosync.toml')];
        $process = $this->start('orosync', [...$this->onServersCore(), ...$command]);
        $process->awaitListening("tcp://$this->orosync");
    }

    private function startRedis(): void
    {
        [$host, $port] = explode(':', $this->redis);
        $command = ['redis-server', '--bind', $host, '--port', $port, '--save', '', '--dir', $this->directory];
        $this->start('redis', [...$this->onServersCore(), ...$command])->awaitListening("tcp://$this->redis");
    }

    private function startSink(): void
    {
        $command = [PHP_BINARY, '-n', $this->measured('sink.php'), "tcp://$this->sink"];
        $this->start('sink', [...$this->onServersCore(), ...$command])->awaitListening("tcp://$this->sink");
    }

    /**
     * Starts PHP-FPM with so many workers on these cores.
     *
     * @param list<string> $onCores
     */
    private function startFpm(string $name, int $workers, array $onCores): void
    {
        $user = rtrim(Process::run(['id', '-un']));
        file_put_contents($this->file("$name.conf"), <<<INI
            [global]
            daemonize = no
            error_log = {$this->file("$name.log")}
            [$name]
            user = $user
            listen = {$this->file("$name.sock")}
            listen.backlog = 511
            pm = static
            pm.max_children = $workers

            INI);
        $fpm = sprintf('/usr/sbin/php-fpm%d.%d', PHP_MAJOR_VERSION, PHP_MINOR_VERSION);
        $command = [$fpm, '--allow-to-run-as-root', '-n', '--nodaemonize', '-y', $this->file("$name.conf")];
        $process = $this->start($name, [...$onCores, ...$command, ...$this->options([])]);
        $process->awaitListening("unix://{$this->file("$name.sock")}");
    }

    private function startWeb(): void
    {
        $root = dirname($this->measured('.'));
        $asRoot = posix_geteuid() === 0 ? 'user root;' : '';
        $temporary = '';
        foreach (['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'] as $kind) {
            $temporary .= "{$kind}_temp_path {$this->file($kind)};\n";
        }
        $parameters = 'fastcgi_param SCRIPT_FILENAME ' . $root . '$fastcgi_script_name;'
            . 'fastcgi_param QUERY_STRING $query_string; fastcgi_param REQUEST_METHOD $request_method;';
        file_put_contents($this->file('nginx.conf'), <<<NGINX
            load_module /usr/lib/nginx/modules/ngx_nchan_module.so;
            daemon off;
            $asRoot
            worker_processes 1;
            pid {$this->file('nginx.pid')};
            error_log {$this->file('nginx.log')} warn;
            events { worker_connections 1024; }
            http {
                access_log off;
                keepalive_requests 1000000;
                $temporary
                server {
                    listen $this->web;
                    location ~ ^/publish/(.+)$ { nchan_publisher http; nchan_channel_id $1; }
                    location /page- { $parameters fastcgi_pass unix:{$this->file('pages.sock')}; }
                    location / { $parameters fastcgi_pass unix:{$this->file('requests.sock')}; }
                }
            }
            NGINX);
        $command = ['/usr/sbin/nginx', '-e', $this->file('nginx.log'), '-c', $this->file('nginx.conf')];
        $this->start('nginx', [...$this->onServersCore(), ...$command])->awaitListening("tcp://$this->web");
    }
}
