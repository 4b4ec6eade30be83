<?php

declare(strict_types=1);

require __DIR__ . '/page.php';

// Applications publish here: the transaction is committed, and the page is not rendered yet.
orosync_publish('bench/topic', [['username' => 'admin', 'tagname' => 'Oro_Bundle_UserBundle_Entity_User_type_entity_id_1001']]);

echo page();
