<?php

declare(strict_types=1);

require __DIR__ . '/page.php';

// The same message at the same place, over a persistent connection of the worker.
[$host, $port] = explode(':', $_GET['redis']);
$redis = new Redis();
$redis->pconnect($host, (int) $port, 1.0, 'page');
$tags = [['username' => 'admin', 'tagname' => 'Oro_Bundle_UserBundle_Entity_User_type_entity_id_1001']];
$redis->publish('bench/topic', json_encode($tags));

echo page();
