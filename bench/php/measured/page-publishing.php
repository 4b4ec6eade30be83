<?php

declare(strict_types=1);

require __DIR__ . '/page.php';

// Where an application publishes: what was saved is committed, and the page is still to be rendered.
orosync_publish('bench/topic', [['username' => 'admin', 'tagname' => 'Oro_Bundle_UserBundle_Entity_User_type_entity_id_1001']]);

echo page();
