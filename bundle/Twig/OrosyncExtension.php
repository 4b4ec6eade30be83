<?php

declare(strict_types=1);

namespace Orosync\Twig;

use Twig\Extension\AbstractExtension;
use Twig\TwigFunction;

/** What a template needs; the first three by the names of OroSyncBundle. */
final class OrosyncExtension extends AbstractExtension
{
    public function getFunctions(): array
    {
        return [
            new TwigFunction('check_ws', [OrosyncRuntime::class, 'checkWs']),
            new TwigFunction('get_ws_config', [OrosyncRuntime::class, 'wsConfig']),
            new TwigFunction('oro_sync_get_content_tags', [OrosyncRuntime::class, 'contentTags']),
            new TwigFunction('orosync_client_config', [OrosyncRuntime::class, 'clientConfig']),
            new TwigFunction('orosync_page', [OrosyncRuntime::class, 'page'], ['is_safe' => ['html']]),
        ];
    }
}
