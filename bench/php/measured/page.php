<?php

declare(strict_types=1);

/** A light page: a table of a few hundred rows. Pages of real applications take ten times as long. */
function page(): string
{
    $rows = '';
    for ($id = 1; $id <= 1500; ++$id) {
        $name = htmlspecialchars("Contact <$id> & Sons", ENT_QUOTES);
        $rows .= sprintf('<tr id="%d"><td>%s</td><td>%s</td></tr>', $id, $name, number_format($id * 1.07, 2));
    }

    return "<!doctype html><title>Contacts</title><table>$rows</table>";
}
