<?php

/** A sink for the measurement of a bare send(): accepts all data and answers nothing. */

declare(strict_types=1);

$server = stream_socket_server($argv[1]);
$sockets = [$server];
while (true) {
    $ready = $sockets;
    $none = [];
    stream_select($ready, $none, $none, null);
    foreach ($ready as $index => $socket) {
        if ($socket === $server) {
            $sockets[] = stream_socket_accept($server);
        } elseif (in_array(fread($socket, 65536), ['', false], true)) {
            unset($sockets[$index]);
        }
    }
}
