<?php

declare(strict_types=1);

require __DIR__ . '/page.php';

echo page();
orosync_publish('bench/topic', [['username' => 'admin', 'tagname' => 'Oro_Bundle_UserBundle_Entity_User_type_entity_id_1001']]);
