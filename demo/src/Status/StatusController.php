<?php

declare(strict_types=1);

namespace Demo\Status;

use Orosync\Publishing\PublisherInterface;
use Symfony\Bundle\FrameworkBundle\Controller\AbstractController;
use Symfony\Component\HttpFoundation\Response;

/** Data of the status page about PHP and the servers; js/status.js adds that of the page. */
final class StatusController extends AbstractController
{
    public function page(): Response
    {
        return $this->render('status.html.twig');
    }

    /** The status of the process that answers. PHP-FPM has several, each with its own connection. */
    public function php(PublisherInterface $publisher): Response
    {
        return $this->json([
            'process' => getmypid(),
            'extension' => phpversion('orosync') ?: 'not loaded',
            ...get_object_vars($publisher->status()),
        ]);
    }

    public function server(ServerFacts $server): Response
    {
        try {
            return $this->json(['counters' => $server->counters(), 'topics' => $server->topics()]);
        } catch (\RuntimeException $e) {
            return $this->json(['counters' => ['Answer' => $e->getMessage()], 'topics' => []]);
        }
    }

    public function nodes(ServerFacts $server): Response
    {
        // An object even if empty.
        return $this->json((object) $server->nodes());
    }
}
